"""Parameters of the corpora."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from emopipe.parameters import Count, Group, OrNone, Seed


class Corpora(Group):
    """The corpora of a branch, ``data.audio`` or ``data.text``."""

    corpora: Annotated[list[str], OrNone]


class Synthetic(Group):
    """The synthetic corpus."""

    KEY = "data.synthetic"

    speakers: Annotated[int, Field(ge=6)]
    utterances: Count
    seed: Seed
