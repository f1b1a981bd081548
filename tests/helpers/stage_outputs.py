"""What each stage makes: where it lies, and whether it is whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

from helpers.paths import ROOT

OUTPUTS = {
    stage: [
        next(iter(out)) if isinstance(out, dict) else out
        for kind in ("outs", "metrics", "plots")
        for out in entry.get(kind, [])
    ]
    for stage, entry in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].items()
}
DATA_STAGES = [stage for stage in OUTPUTS if stage != "code"]  # which reads the sources, and no data


def clear(folder: Path, stage: str) -> None:
    """Remove what a stage makes, as DVC does before it runs one."""
    for output in OUTPUTS[stage]:
        path = folder / output
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def made(folder: Path, stage: str) -> dict[str, bytes]:
    """Return what a stage has made, by path."""
    files = [file for output in OUTPUTS[stage] for file in (folder / output, *(folder / output).rglob("*"))]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.is_file()}


def whole(folder: Path, stage: str, expected: dict[str, bytes]) -> None:
    """Assert that of what a later stage reads nothing is there by half.

    DVCLive appends to its files. The tokenizer's are not looked at before the configuration is there.
    """
    found = {name: content for name, content in made(folder, stage).items() if not name.endswith(".part")}
    unfinished = "models/text/config.json" not in found
    for name, content in found.items():
        if not name.startswith("metrics/") and not (unfinished and "/tokenizer/" in name):
            assert content == expected[name], name
