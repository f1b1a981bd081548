"""Parameters of the robustness tests."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from emopipe.conditions.catalogue import CONDITIONS, FULL, QUICK
from emopipe.parameters import Group, Seed
from emopipe.schemas.labels import nearest

SUITES = {"none": [], "quick": QUICK, "full": FULL}


def _known(name: str) -> str:
    if name not in CONDITIONS:
        near = nearest(name, list(CONDITIONS))
        raise ValueError(f"no condition; did you mean {near}?" if near else f"no condition: {', '.join(CONDITIONS)}")
    return name


class Robustness(Group):
    """Under which conditions a model is tested."""

    KEY = "robustness"

    suite: (
        Literal["none", "quick", "full"] | Annotated[list[Annotated[str, AfterValidator(_known)]], Field(min_length=1)]
    )
    seed: Seed

    @property
    def conditions(self) -> list[tuple[str, str]]:
        """Return the names of conditions and their levels, in the order of the catalogue."""
        if isinstance(self.suite, str):
            return SUITES[self.suite]
        return [(name, level) for name, level in FULL if name in self.suite]
