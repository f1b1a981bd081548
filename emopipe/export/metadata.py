"""What an exported file tells of itself: what it answers, what it was made from, and what it is not for.

All values are texts, as ONNX has them; lists and tables are JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from emopipe.commands.main import VERSION
from emopipe.export.precision import Precision
from emopipe.recordings.resampling import MIN_SAMPLES
from emopipe.report import sentences
from emopipe.report.data import SYNTHETIC
from emopipe.report.formatting import without_folders
from emopipe.schemas.manifest import SAMPLE_RATE
from emopipe.training.saving import read_config
from emopipe.weights.files import sha256

UNKNOWN = "which ones is not known here"


def of_speech(folder: Path, precision: Precision, corpora: Sequence[str]) -> dict[str, str]:
    """Return what is to be known of an audio model.

    Args:
        folder: with the model
        precision: of the file
        corpora: that it was trained on; empty where they are not known
    """
    config = without_folders(read_config(folder, "finetune_audio"))
    classified = "labels" in config
    names = {"labels": config["labels"]} if classified else {"targets": config["targets"]["names"]}
    own = {
        "description": f"{sentences.question(config)} The model: {sentences.audio_model(config)}.",
        "task": config["model"]["task"],
        **names,
        "sampling_rate": SAMPLE_RATE,
        "min_samples": MIN_SAMPLES,
        "max_seconds": config["provenance"]["max_seconds"],
        "limits": [*sentences.limits(config), *_synthetic(corpora)],
    }
    shown = {
        name: config[name] for name in ("model", "provenance", "temperature", "epochs", "tuning") if name in config
    }
    return as_texts(own | origin(folder, config["provenance"]["backbone"], shown, precision, corpora))


def origin(
    folder: Path,
    pretrained: Mapping[str, str],
    provenance: Mapping[str, Any],
    precision: Precision,
    corpora: Sequence[str],
) -> dict[str, Any]:
    """Return what a model was made from, and what that means for its licence.

    Args:
        folder: with the model
        pretrained: provenance of the network that it was trained on
        provenance: all that is told of its making
        precision: of the file
        corpora: that it was trained on; empty where they are not known
    """
    learned = {"train_and_dev": {"corpora": without_folders(list(corpora)) or [UNKNOWN]}}
    return {
        "licence": sentences.licences(pretrained, learned),
        "attribution": f"Made from {pretrained['name']}, licence: {pretrained['licence']}.",
        "provenance": provenance,
        "weights_sha256": sha256([folder / "model.safetensors"]),
        "precision": precision,
        "producer": f"emopipe {VERSION}",
    }


def _synthetic(corpora: Sequence[str]) -> list[str]:
    return [sentences.SYNTHETIC] if SYNTHETIC in corpora else []


def as_texts(properties: Mapping[str, Any]) -> dict[str, str]:
    """Return properties as an ONNX file holds them."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in properties.items()
    }
