"""Parameters of the random forest."""

from __future__ import annotations

from typing import Literal

from emopipe.parameters import Count, Seed
from emopipe.training.parameters import CrossFitting


class Forest(CrossFitting):
    """The forest from VAD to emotion, and what it learns from."""

    trees: Count
    max_depth: Count | None
    min_leaf: Count
    class_weight: Literal["none", "balanced"]
    seed: Seed
