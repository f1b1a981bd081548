"""Trainings that are killed again and again, and experiments side by side, with real DVC."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from helpers.processes import kill_all, start


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "outputs", "changes"),
    [
        ("finetune_audio", ["models/audio", "metrics/audio"], {}),
        ("finetune_text", ["models/text", "metrics/text"], {}),
        ("cross_fit_audio", ["data/vad/audio.csv"], {"model__task": "regression", "forest__inputs": "audio"}),
        ("cross_fit_text", ["data/vad/text.csv"], {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_training_that_is_killed_ten_times_at_any_moment_ends_in_the_same_bytes(clone, stage, outputs, changes):
    """The time of a kill is drawn over the whole run, imports and writing of the model included."""
    before = (clone.folder / "params.yaml").read_text()
    clone.set(train__epochs=12, text__epochs=12, **changes)
    outputs = [clone.folder / path for path in outputs]

    def made() -> dict[Path, bytes]:
        files = [path for output in outputs for path in (output, *sorted(output.rglob("*"))) if path.is_file()]
        return {path: path.read_bytes() for path in files}

    def clean() -> None:  # as DVC does before it runs a stage
        for output in outputs:
            shutil.rmtree(output) if output.is_dir() else output.unlink(missing_ok=True)

    command = ("python", "-m", f"stages.{stage}")
    clean()
    began = time.monotonic()
    clone.run(*command)
    whole, expected = time.monotonic() - began, made()
    moments = np.random.default_rng(1)
    for _ in range(10):
        clean()
        process = start(clone.folder, *command)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(moments.uniform(0, whole))
        if process.poll() is None:
            kill_all(process)
    clean()
    clone.run(*command)
    assert expected
    assert made() == expected
    assert not (clone.folder / ".checkpoints").exists()
    (clone.folder / "params.yaml").write_text(before)


@pytest.mark.slow
def test_queued_experiments_run_beside_each_other(clone):
    clone.run("dvc", "exp", "run", "--queue", "-S", "train.learning_rate=0.01,0.02", "-S", "model.dropout=0.1,0.2")
    clone.run("dvc", "queue", "start", "-j", "2")
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        time.sleep(2)
        status = clone.run("dvc", "queue", "status").stdout
        if "Queued" not in status and "Running" not in status:
            break
    assert status.count("Success") == 4, status
