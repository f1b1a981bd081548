"""A trained model's folder: weights without pickle, and a configuration that a person can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from stages.contracts.errors import UserError


def write_model(folder: Path, model: nn.Module, config: dict[str, Any]) -> None:
    """Write ``model.safetensors`` and ``config.json``; the same model gives the same bytes."""
    write_config(folder, config)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})  # more keys come in random order


def write_config(folder: Path, config: dict[str, Any]) -> None:
    """Write ``config.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def read_config(folder: Path, stage: str) -> dict[str, Any]:
    """Read ``config.json``.

    Raises:
        UserError: if there is no model, naming the stage that makes it
    """
    try:
        return json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder}: no model here; run `dvc repro {stage}`") from None
