"""Parameters of the figures."""

from __future__ import annotations

from emopipe.parameters import Count, Group


class Plot(Group):
    """How figures are drawn."""

    KEY = "plot"

    dpi: Count
