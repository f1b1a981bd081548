"""What the page is told of a model: what it answers, what it was trained on, its limits, and how sound is cut."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np

from emopipe.export import material, metadata
from emopipe.recognition.segmentation import HYSTERESIS, LEAST, Cutting
from emopipe.recognition.speech import Recognizer
from emopipe.report import sentences
from emopipe.report.formatting import without_folders
from emopipe.schemas import splits
from emopipe.schemas.dev_answers import DevAnswers
from emopipe.schemas.manifest import SAMPLE_RATE
from emopipe.scoring.selective import weights
from emopipe.training.saving import read_config

NAME = "page.json"
LEVELS = np.arange(101) / 100  # of confidence, below which the page may give no answer


def describe(recognizer: Recognizer) -> dict[str, Any]:
    """Return the content of ``page.json``, but for who answers.

    Args:
        recognizer: the model
    """
    folder = recognizer.folder
    corpora = material.corpora(folder, splits.AUDIO)
    told = metadata.of_speech(folder, "float32", corpora)
    names = {name: json.loads(told[name]) for name in ("labels", "targets") if name in told}
    dev = recognizer.trained.dev
    cutting = {name: value for name, value in asdict(Cutting()).items() if isinstance(value, float)}
    return {
        "description": told["description"],
        **names,
        "about": {
            "trained_on": without_folders(corpora),
            "Network": sentences.audio_model(without_folders(read_config(folder, "finetune_audio"))),
            "Licence": told["licence"],
            "Origin": told["attribution"],
            "Weights": f"sha256 {told['weights_sha256']}",
            "Made by": told["producer"],
        },
        "limits": json.loads(told["limits"]),
        "max_seconds": recognizer.encoder.max_samples / SAMPLE_RATE,
        "min_samples": int(told["min_samples"]),
        "cutting": cutting | {"hysteresis": HYSTERESIS, "least": LEAST},
        "answered": None if dev is None else shares_answered(dev),
    }


def shares_answered(dev: DevAnswers) -> list[float]:
    """Return the share of a dev set that is answered with each of :data:`LEVELS`, every speaker counting the same."""
    enough = dev.probabilities.max(axis=1)[:, None] >= LEVELS
    return (weights(dev.speakers) @ enough).round(4).tolist()
