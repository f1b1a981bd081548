"""The tables of data/splits: the set of every utterance, the size of the sets, and the leakage report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field

from emopipe.schemas import tables
from emopipe.schemas.manifest import DIMENSIONS, Emotion, Identifier, Set, Sex, Vad
from emopipe.schemas.tables import Row


class Item(Row):
    """An utterance with its speaker and its set: the columns that both branches have."""

    utterance: Identifier
    corpus: str
    speaker: str = ""
    sex: Sex = ""
    session: str = ""
    language: str = ""
    split: Set


class AudioItem(Item):
    """An utterance of the audio branch: an emotion to classify, or VAD to predict, or both."""

    emotion: Literal[Emotion, ""] = ""
    valence: Vad = float("nan")
    arousal: Vad = float("nan")
    dominance: Vad = float("nan")


class TextItem(Item):
    """An utterance of the text branch: VAD for the regressor, an emotion for the forest, or both."""

    transcript: Annotated[str, Field(min_length=1)]
    emotion: Literal[Emotion, ""] = ""
    valence: Vad = float("nan")
    arousal: Vad = float("nan")
    dominance: Vad = float("nan")


class Leak(Row):
    """A recording, a text or a speaker that was in more than one set."""

    kind: Literal["recording", "text", "speaker"]
    content: Annotated[str, Field(min_length=1)]  # the speaker, or the first digits of the hash of recording or text
    sets: Literal["train|dev", "train|test", "dev|test", "train|dev|test"]
    utterances: Annotated[int, Field(ge=1)]  # those outside the strictest set
    action: Literal["left_out", "reported"]


class Balance(Row):
    """The number of utterances and speakers of one set, corpus, sex and emotion."""

    split: Set
    corpus: str
    sex: Sex
    emotion: Literal[Emotion, ""]
    utterances: Annotated[int, Field(ge=1)]
    speakers: Annotated[int, Field(ge=0)]  # distinct known ones


class TextBalance(Balance):
    """The same for the text branch."""

    rated: Annotated[int, Field(ge=0)]  # utterances with valence, arousal and dominance


AUDIO = Path("data/splits/audio.csv")
AUDIO_LEAKS = Path("data/splits/audio_leaks.csv")
AUDIO_BALANCE = Path("data/splits/audio_balance.csv")
TEXT = Path("data/splits/text.csv")
TEXT_LEAKS = Path("data/splits/text_leaks.csv")
TEXT_BALANCE = Path("data/splits/text_balance.csv")


def same_text(texts: pd.Series) -> pd.Series:
    """Return texts in a form that is equal for texts that differ in case and spacing alone.

    >>> same_text(pd.Series(["What  a day! ", "WHAT a day!"])).tolist()
    ['what a day!', 'what a day!']
    """
    return texts.str.casefold().str.split().str.join(" ")


def read_audio(path: Path = AUDIO) -> pd.DataFrame:
    """Read the audio branch's split."""
    return tables.read(path, AudioItem)


def read_text(path: Path = TEXT) -> pd.DataFrame:
    """Read the text branch's split."""
    return tables.read(path, TextItem)


def rated(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a split table that have valence, arousal and dominance."""
    return rows[rows[list(DIMENSIONS)].notna().all(axis=1)]
