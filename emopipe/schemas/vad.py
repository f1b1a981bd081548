"""Predicted valence, arousal and dominance of training utterances: what the forest is fitted on."""

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
BRANCHES: dict[str, tuple[Branch, ...]] = {"text": ("text",), "audio": ("audio",), "both": ("text", "audio")}


class PredictedVad(Row):
    """An utterance with its emotion and its VAD as predicted by a branch; a prediction may leave the 1..5 scale."""

    utterance: Identifier
    emotion: Emotion
    valence: float
    arousal: float
    dominance: float


def feature_names(*branches: str) -> list[str]:
    """Return the names of the forest's inputs.

    >>> feature_names("audio")
    ['audio_valence', 'audio_arousal', 'audio_dominance']
    """
    return [f"{branch}_{name}" for branch in branches for name in DIMENSIONS]


def as_features(vad: np.ndarray, branch: str) -> pd.DataFrame:
    """Return valence, arousal and dominance, [utterances, 3], under the names of the forest's inputs."""
    return pd.DataFrame(vad, columns=feature_names(branch))
