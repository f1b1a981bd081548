"""Valence, arousal and dominance of training utterances, from which the forest learns, and its inputs by name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from emopipe.schemas.manifest import DIMENSIONS, Emotion, Identifier
from emopipe.schemas.tables import Row

AUDIO_VAD = Path("data/vad/audio.csv")
TEXT_VAD = Path("data/vad/text.csv")

Branch = Literal["text", "audio"]
SOURCES: dict[str, tuple[Branch, ...]] = {"text": ("text",), "audio": ("audio",), "both": ("text", "audio")}


class PredictedVad(Row):
    """A training utterance with its emotion, and its VAD as predicted: a prediction may leave the scale."""

    utterance: Identifier
    emotion: Emotion
    valence: float
    arousal: float
    dominance: float


def feature_names(*branches: str) -> list[str]:
    """Return the names of what the forest is given.

    >>> feature_names("audio")
    ['audio_valence', 'audio_arousal', 'audio_dominance']
    """
    return [f"{branch}_{name}" for branch in branches for name in DIMENSIONS]


def as_features(vad: np.ndarray, branch: str) -> pd.DataFrame:
    """Return valence, arousal and dominance, [utterances, 3], under the names the forest knows them by."""
    return pd.DataFrame(vad, columns=feature_names(branch))
