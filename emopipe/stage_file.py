"""What dvc.yaml says of the stages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from emopipe.io.errors import UserError

PATH = Path("dvc.yaml")


def read() -> dict[str, dict[str, Any]]:
    """Return the entries of dvc.yaml by the names of the stages.

    Raises:
        UserError: where there is no such file
    """
    try:
        return yaml.safe_load(PATH.read_text(encoding="utf-8"))["stages"]
    except FileNotFoundError:
        raise UserError(f"{PATH}: no such file; run this in the folder that holds it") from None


def outputs(entry: Mapping[str, Any]) -> list[str]:
    """Return what a stage writes: outputs, metrics and plots."""
    found = [output for kind in ("outs", "metrics", "plots") for output in entry.get(kind, [])]
    return [next(iter(output)) if isinstance(output, Mapping) else output for output in found]
