"""A trained model's folder: weights without pickle, and a configuration that a person can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write, write_json

CONFIG = "config.json"


def write_model(folder: Path, state: Mapping[str, Tensor], config: dict[str, Any]) -> None:
    """Write ``model.safetensors`` and then ``config.json``; the same model gives the same bytes."""
    (folder / CONFIG).unlink(missing_ok=True)  # without it there is no model: no old one goes with new weights
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    with atomic_write(folder / "model.safetensors") as part:
        save_file(state, part, metadata={"format": "pt"})  # more keys come in random order
    write_config(folder, config)


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write ``config.json``."""
    write_json(config, folder / CONFIG)


def read_config(folder: Path, stage: str) -> dict[str, Any]:
    """Read ``config.json``.

    Raises:
        UserError: if there is no model, naming the stage that makes it
    """
    try:
        return json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder}: no model here; run `dvc repro {stage}`") from None
