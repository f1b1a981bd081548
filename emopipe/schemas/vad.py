"""What the forest from valence, arousal and dominance to emotion learns from, of the training utterances."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from emopipe.schemas.manifest import DIMENSIONS, Emotion, Identifier
from emopipe.schemas.tables import Number, Row

HEARD = Path("data/audio_vad.csv")
LEARNT = Path("data/forest.csv")

Branch = Literal["text", "audio"]
SOURCES: dict[str, tuple[Branch, ...]] = {"text": ("text",), "audio": ("audio",), "both": ("text", "audio")}


class Heard(Row):
    """A training utterance with its emotion, and its VAD as predicted from sound: a prediction may leave the scale."""

    utterance: Identifier
    emotion: Emotion
    valence: float
    arousal: float
    dominance: float


class Learnt(Row):
    """A training utterance with what the forest is given, NaN of a branch that it does not know, and its emotion."""

    utterance: Identifier
    emotion: Emotion
    text_valence: Number = float("nan")
    text_arousal: Number = float("nan")
    text_dominance: Number = float("nan")
    audio_valence: Number = float("nan")
    audio_arousal: Number = float("nan")
    audio_dominance: Number = float("nan")


def features(*branches: str) -> list[str]:
    """Return the names of what the forest is given.

    >>> features("audio")
    ['audio_valence', 'audio_arousal', 'audio_dominance']
    """
    return [f"{branch}_{name}" for branch in branches for name in DIMENSIONS]


def featured(vad: np.ndarray, branch: str) -> pd.DataFrame:
    """Return valence, arousal and dominance, [utterances, 3], under the names the forest knows them by."""
    return pd.DataFrame(vad, columns=features(branch))
