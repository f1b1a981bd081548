"""Parameters of the splits: which utterances are used, under which label, in which set."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from emopipe.parameters import Group, Natural, OrNone, Positive, Seed
from emopipe.schemas.manifest import Dimension, Emotion


def _sum_to_one(value: list[float]) -> list[float]:
    if abs(sum(value) - 1) > 1e-6:
        raise ValueError("the shares of train, dev and test must add up to 1")
    return value


def _each_once(value: list[str]) -> list[str]:
    if len(set(value)) < len(value):
        raise ValueError("names a dimension twice")
    return value


class Labels(Group):
    """The emotions of a branch, ``data.audio`` or ``data.text``."""

    labels: Annotated[list[Emotion], Field(min_length=2)] | None
    merge: dict[Emotion, Emotion]


class AudioTarget(Group):
    """What the audio model predicts, and so what its utterances must be labelled with."""

    KEY = "model"

    task: Literal["classification", "regression"]
    targets: Annotated[list[Dimension], Field(min_length=1), AfterValidator(_each_once)]


class Partition(Group):
    """How the utterances of a branch are divided, ``split.audio`` or ``split.text``."""

    strategy: Literal[
        "speaker", "session", "official", "random", "corpus",
        "speaker_folds", "leave_one_speaker_out", "leave_one_session_out",
    ]  # fmt: skip
    test_corpora: Annotated[list[str], OrNone]
    speaker_overlap: Literal["error", "drop", "warn"]
    fractions: Annotated[list[Positive], Field(min_length=3, max_length=3), AfterValidator(_sum_to_one)]
    folds: Annotated[int, Field(ge=2)]
    fold: Natural
    seed: Seed


class Split(Group):
    """How both branches are divided."""

    KEY = "split"

    audio: Partition
    text: Partition
