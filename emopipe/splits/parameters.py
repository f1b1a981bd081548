"""Parameters of the splits: which utterances are used, under which label, in which set."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from emopipe.parameters import Group, Natural, OrNone, Positive, Seed
from emopipe.schemas.labels import WORDS, meaning, nearest, plain
from emopipe.schemas.manifest import EMOTIONS, Dimension, Emotion


def _sum_to_one(value: list[float]) -> list[float]:
    if abs(sum(value) - 1) > 1e-6:
        raise ValueError("the shares of train, dev and test must add up to 1")
    return value


def _each_once(value: list[str]) -> list[str]:
    if len(set(value)) < len(value):
        raise ValueError("names a dimension twice")
    return value


def _known(word: object) -> object:
    """Return the emotion that a word stands for; a word without one stays as it is."""
    return meaning(word, WORDS) or word


def _not_misspelt(word: str) -> str:
    """Return a word of a corpus's own as it is compared with those of its labels."""
    known = _known(word)
    if known not in EMOTIONS and (near := nearest(known, EMOTIONS, alike=0.85)):
        raise ValueError(f"did you mean {near}?")
    return known if known in EMOTIONS else plain(known)


KnownEmotion = Annotated[Emotion, BeforeValidator(_known)]


class Merge(Group):
    """The words and emotions of a branch, ``data.audio`` or ``data.text``, that count as another emotion."""

    merge: dict[Annotated[str, AfterValidator(_not_misspelt)], KnownEmotion]

    def words(self) -> dict[str, str]:
        """Return those that are no emotions themselves: a corpus's own words for one."""
        return {word: emotion for word, emotion in self.merge.items() if word not in EMOTIONS}


class Labels(Merge):
    """The emotions of a branch, ``data.audio`` or ``data.text``."""

    labels: Annotated[list[KnownEmotion], Field(min_length=2)] | None


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
