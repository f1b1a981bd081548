"""Parameters of the robustness tests."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from emopipe.conditions.catalogue import FULL, QUICK, levels_of
from emopipe.conditions.parameters import ConditionName
from emopipe.parameters import Group, Seed

SUITES = {"none": [], "quick": QUICK, "full": FULL}


class Robustness(Group):
    """Under which conditions a model is tested."""

    KEY = "robustness"

    suite: Literal["none", "quick", "full"] | Annotated[list[ConditionName], Field(min_length=1)]
    seed: Seed

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """Return the names of conditions and their levels, in the order of the catalogue."""
        if isinstance(self.suite, str):
            return SUITES[self.suite]
        return levels_of(self.suite)
