"""The tables of data/splits: who is trained on and who is tested on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from pydantic import Field

from stages.contracts import tables
from stages.contracts.manifest import Emotion, Identifier, Set, Vad
from stages.contracts.tables import Row


class AudioItem(Row):
    """An utterance of the audio branch."""

    utterance: Identifier
    corpus: str
    speaker: str = ""
    split: Set
    emotion: Emotion


class TextItem(Row):
    """An utterance of the text branch: VAD for the regressor, an emotion for the forest, or both."""

    utterance: Identifier
    corpus: str
    speaker: str = ""
    split: Set
    transcript: Annotated[str, Field(min_length=1)]
    emotion: Literal[Emotion, ""] = ""
    valence: Vad = float("nan")
    arousal: Vad = float("nan")
    dominance: Vad = float("nan")


AUDIO = Path("data/splits/audio.csv")
TEXT = Path("data/splits/text.csv")


def same_text(texts: pd.Series) -> pd.Series:
    """Return what texts that differ in case and spacing alone have in common.

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
