"""A disk that is full, a kill, two runs at once: what is there stays whole, of every stage and under DVC.

The stages run as DVC runs them, each a process of its own.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import time

import numpy as np
import pytest

from helpers.clones import SMALL, Clone, cloned, small_encoder
from helpers.paths import ROOT
from helpers.processes import end, kill, mounted, start, start_stage, writes_at_most
from helpers.stage_outputs import DATA_STAGES, clear, made, whole
from stages import resample

pytestmark = pytest.mark.slow


# ---- on every stage


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a folder in which every stage has run once, how long each took, and what it made."""
    folder = tmp_path_factory.mktemp("faults")
    small_encoder(folder / "encoder")
    clone = Clone(folder)
    shutil.copy(ROOT / "params.yaml", folder)
    clone.set(**SMALL | {"text__encoder": str(folder / "encoder"), "text__epochs": 2})
    for command in (
        "init",
        "add params.yaml",
        "-c user.name=x -c user.email=x@x commit -m x",
    ):  # DVCLive wants a commit
        clone.run("git", *command.split())
    times, expected = {}, {}
    for stage in DATA_STAGES:
        began = time.monotonic()
        end(start_stage(folder, stage))
        times[stage], expected[stage] = time.monotonic() - began, made(folder, stage)
        assert expected[stage]
    return folder, times, expected


@pytest.mark.parametrize("stage", DATA_STAGES)
def test_a_stage_that_is_killed_at_any_moment_leaves_what_is_whole_and_ends_in_the_same_bytes(project, stage):
    folder, times, expected = project
    moments = np.random.default_rng(DATA_STAGES.index(stage)).uniform(0.3, 1, 4) * times[stage]
    for moment, number in zip(moments, [signal.SIGTERM, signal.SIGKILL] * 2, strict=True):
        clear(folder, stage)
        process = start_stage(folder, stage)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            kill(process, number)
        whole(folder, stage, expected[stage])
    end(start_stage(folder, stage))  # over what the last kill left, which DVC would have removed
    assert made(folder, stage) == expected[stage]
    assert not (folder / ".checkpoints").exists()


# The size of a file at which writing fails: small ones go through, and in a training, the checkpoint or the model.
LIMITS = {
    "fetch": 5_000, "resample": 20_000, "split": 1_000, "encode": 200_000, "finetune_audio": 100_000,
    "cross_fit_audio": 10, "predict_audio": 1_000, "finetune_text": 40_000, "cross_fit_text": 1_000,
    "predict_text": 1_000, "fit_forest": 5_000, "evaluate": 1_100, "plot": 20_000, "shortcuts": 1_000,
    "fairness": 1_000, "robustness": 10, "export": 1,
}  # fmt: skip


@pytest.mark.parametrize("stage", DATA_STAGES)
def test_a_stage_whose_disk_is_full_says_so_and_the_next_run_finishes(project, stage):
    folder, _, expected = project
    clear(folder, stage)
    printed = end(start_stage(folder, stage, limit=writes_at_most(LIMITS[stage])), expected=1)
    last = printed.splitlines()[-1]
    assert last.startswith("error: ")
    assert "File too large; raise the limit" in last or "is the disk full?" in last or "No space left" in last, printed
    whole(folder, stage, expected[stage])
    end(start_stage(folder, stage))
    assert made(folder, stage) == expected[stage]


@pytest.mark.parametrize("place", [".checkpoints", "models/audio", "metrics/audio"])
def test_a_training_names_the_folder_whose_disk_is_full(project, place):
    folder, _, expected = project
    clear(folder, "finetune_audio")
    before = mounted(folder / place, "size=8k")
    printed = end(start_stage(folder, "finetune_audio", before), expected=1).splitlines()[-1]
    assert printed.startswith(f"error: {place}") and "No space left on device; make room on that disk" in printed
    shutil.rmtree(folder / place)  # where it was mounted
    end(start_stage(folder, "finetune_audio"))
    assert made(folder, "finetune_audio") == expected["finetune_audio"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_processes_that_encode_together_end_together(project, number):
    folder, *_ = project
    clone = Clone(folder)
    before = (folder / "params.yaml").read_text()
    clone.set(runtime__processes=2)
    clear(folder, "encode")
    process = start_stage(folder, "encode")
    deadline = time.monotonic() + 300
    while not list(folder.glob("data/encoded/parts/*/.statistics*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    kill(process, number)
    assert not (folder / "data/encoded/encoding.json").exists()
    (folder / "params.yaml").write_text(before)
    clear(folder, "encode")
    end(start_stage(folder, "encode"))


def test_two_trainings_of_one_stage_do_not_disturb_each_other(project):
    folder, _, expected = project
    clear(folder, "finetune_audio")
    (folder / ".checkpoints/finetune_audio.lock").unlink(missing_ok=True)  # of a run before
    first = start_stage(folder, "finetune_audio")
    while not (folder / ".checkpoints/finetune_audio.lock").exists():
        time.sleep(0.02)
    first.send_signal(signal.SIGSTOP)
    printed = end(start_stage(folder, "finetune_audio"), expected=1)
    assert "finetune_audio: another run of it is under way in this folder; wait for its end, or stop it" in printed
    first.send_signal(signal.SIGCONT)
    end(first)
    assert made(folder, "finetune_audio") == expected["finetune_audio"]


# ---- under DVC


@pytest.fixture
def clone(tmp_path):
    """Return a clone whose first stages take seconds."""
    small = cloned(tmp_path / "clone")
    small.set(data__synthetic__speakers=8, data__synthetic__utterances=40)
    return small


def dvc(clone: Clone, *command: str) -> subprocess.Popen:
    return start(clone.folder, "dvc", *command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def wait_for_the_first_recordings(clone: Clone) -> None:
    deadline = time.monotonic() + 120
    while not list(clone.folder.glob("data/raw/audio/synthetic/*.wav")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_runs_of_dvc_at_once_the_second_is_refused_and_the_third_has_nothing_to_do(clone):
    first = dvc(clone, "repro", "split")
    wait_for_the_first_recordings(clone)
    second = dvc(clone, "repro", "split")
    printed, _ = second.communicate(timeout=120)
    assert second.returncode != 0
    assert first.poll() is None, "the first was too quick for the second"
    assert "is busy, it is being blocked by" in printed or "Unable to acquire lock" in printed
    output, _ = first.communicate(timeout=300)
    assert first.returncode == 0, output
    third = clone.run("dvc", "repro", "split")
    assert clone.ran(third) == [] and "up to date" in third.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stage_ends_with_the_dvc_that_started_it(clone, number):
    running = dvc(clone, "repro", "split")
    wait_for_the_first_recordings(clone)
    kill(running, number)
    assert not (clone.folder / resample.RAW).exists()
    assert clone.ran(clone.run("dvc", "repro", "split")) == ["fetch", "resample", "split"]
