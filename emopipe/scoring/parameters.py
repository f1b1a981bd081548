"""Parameters of the evaluation."""

from __future__ import annotations

from emopipe.parameters import Group


class Calibrate(Group):
    """Whether probabilities are calibrated."""

    KEY = "evaluate"

    temperature: bool
