"""What the README tells users to type is what DVC and the parameters accept."""

from __future__ import annotations

import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

from emopipe.parameters import Runtime
from helpers.closure import ROOT


def experiments() -> list[str]:
    """Return every ``dvc exp run`` of the README's indented blocks."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.startswith("    ") and "dvc exp run" in line]


def choices(command: str) -> list[str]:
    """Return what a command sets: the value of each ``-S``, those of a recipe behind ``<`` included."""
    words = shlex.split(command, comments=True)
    if "<" in words:
        words += shlex.split((ROOT / words[words.index("<") + 1]).read_text(encoding="utf-8"))
    return [value for option, value in pairwise(words) if option == "-S"]


@pytest.mark.parametrize("command", experiments())
def test_an_experiment_of_the_readme_can_be_run(command: str, tmp_path: Path):
    params = tmp_path / "params.yaml"
    sweeps = [sweep["params.yaml"] for sweep in get_hydra_sweeps({"params.yaml": choices(command)})]
    assert sweeps
    for overrides in sweeps:
        shutil.copy(ROOT / "params.yaml", params)
        apply_overrides(str(params), overrides)
        Runtime.load(path=params)
