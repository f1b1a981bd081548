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
from emopipe.schemas.manifest import DIMENSIONS, SAMPLE_RATE
from emopipe.training.saving import read_config
from emopipe.weights.files import sha256

UNKNOWN = "which ones is not known here"
TEXT_LIMITS = (
    "How it does on texts of other kinds and languages than those of the test set was not measured.",
    "It learned what raters believed to read, which is not what somebody feels. It is no ground for a decision about a "
    "person.",
)


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
    return _texts(own | _origin(folder, config["provenance"]["backbone"], shown, precision, corpora))


def of_text(folder: Path, precision: Precision, corpora: Sequence[str]) -> dict[str, str]:
    """Return what is to be known of a text regressor; see :func:`of_speech`."""
    config = without_folders(read_config(folder, "finetune_text"))
    own = {
        "description": f"How high, from 1 to 5, are {', '.join(DIMENSIONS)} of a text? The model: "
        f"{sentences.text_model(config)}.",
        "task": "regression",
        "targets": list(DIMENSIONS),
        "max_tokens": config["text"]["max_tokens"],
        "limits": [*TEXT_LIMITS, f"It reads the first {config['text']['max_tokens']} tokens of a text."],
    }
    shown = {name: config[name] for name in ("text", "encoder", "versions", "epochs", "rows")}
    return _texts(own | _origin(folder, config["encoder"], shown, precision, corpora))


def _origin(
    folder: Path,
    pretrained: Mapping[str, str],
    provenance: Mapping[str, Any],
    precision: Precision,
    corpora: Sequence[str],
) -> dict[str, Any]:
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


def _texts(properties: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in properties.items()
    }
