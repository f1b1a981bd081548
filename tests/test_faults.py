"""A disk that is full, a folder that may not be written, a kill, two runs at once: what is there stays whole.

The stages run as DVC runs them, each a process of its own.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
import yaml

from clones import ENVIRONMENT, STAGES, Clone, small_encoder
from closure import ROOT
from stages import resample
from stages.contracts import tables
from stages.contracts.errors import UserError
from stages.contracts.manifest import Utterance, write_manifest
from stages.contracts.outputs import writing

ENTRIES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
OUTPUTS = {
    stage: [
        next(iter(out)) if isinstance(out, dict) else out
        for kind in ("outs", "metrics", "plots")
        for out in entry.get(kind, [])
    ]
    for stage, entry in ENTRIES.items()
}
ALONE = ENVIRONMENT | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}


def start(
    folder: Path, stage: str, before: Sequence[str] = (), limit: Callable[[], None] | None = None, **environment: str
) -> subprocess.Popen:
    """Start a stage, in a session of its own."""
    return subprocess.Popen(
        [*before, sys.executable, "-m", f"stages.{stage}"], cwd=folder, env=ALONE | environment, text=True,
        start_new_session=True, preexec_fn=limit, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def end(process: subprocess.Popen, expected: int = 0) -> str:
    """Wait for a stage, and return what it said."""
    _, said = process.communicate(timeout=300)
    assert process.returncode == expected, said
    assert "Traceback" not in said
    return said


def leave_nothing_running(session: int, started: set[int]) -> None:
    """Wait for the processes that a killed one had started to end; they look for it twice a second."""
    deadline = time.monotonic() + 20
    while left := [p.pid for p in psutil.process_iter() if p.pid in started or _session(p.pid) == session]:
        assert time.monotonic() < deadline, f"{left} go on without the process that started them"
        time.sleep(0.1)


def _session(pid: int) -> int | None:
    try:
        return None if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE else os.getsid(pid)
    except (ProcessLookupError, psutil.NoSuchProcess):
        return None


def kill(process: subprocess.Popen, number: int) -> None:
    """Kill a stage, and nothing but it: what it started must end by itself."""
    try:
        started = {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
    except psutil.NoSuchProcess:
        started = set()
    process.send_signal(number)
    process.communicate(timeout=40)  # prompt, or the test fails here
    leave_nothing_running(process.pid, started)


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


def writes_at_most(size: int) -> Callable[[], None]:
    """Return what limits the files of a process to a number of bytes: a write in the middle fails."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def mounted(folder: Path, options: str) -> list[str]:
    """Return how to run a command that alone sees an empty file system at ``folder``; skips where that cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o {options} none "$0" && exec "$@"', str(folder)]
    if shutil.which("unshare") is None or subprocess.run([*mount, "true"], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here (user namespaces are off)")
    return mount


def as_anybody() -> list[str]:
    """Return how to run a command to which permissions apply, as they do not to root."""
    if os.geteuid():
        return []
    bound = "-dac_override,-dac_read_search"
    without = ["setpriv", f"--bounding-set={bound}", f"--inh-caps={bound}"]
    if shutil.which("setpriv") is None or subprocess.run([*without, "true"], capture_output=True).returncode:
        pytest.skip("root, and setpriv cannot take its rights away")
    return without


# ---- on recordings of noise: quick


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """Return a folder with what the resample stage reads, and what it makes of it."""
    tmp_path = tmp_path_factory.mktemp("noisy")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    draw = np.random.default_rng(1)
    rows = []
    for i in range(24):
        path = tmp_path / "recordings" / f"{i}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, draw.uniform(-0.5, 0.5, 44_100 * 4), 44_100)
        rows.append({"utterance": f"x/{i}", "corpus": "x", "speaker": f"x/{i % 6}", "path": str(path)})
    for i, row in enumerate(rows):
        row |= {"emotion": ("fear", "anger")[i // 6 % 2], "transcript": f"Number {i}."}
    manifest = tables.check(rows, Utterance, "rows")
    write_manifest(manifest, tmp_path / resample.RAW)
    write_manifest(manifest.assign(path=""), tmp_path / "data/raw/text.csv")
    end(start(tmp_path, "resample"))
    return tmp_path


def test_a_killed_resampling_leaves_no_process_and_ends_in_the_same_bytes(noisy):
    expected = made(noisy, "resample")
    assert len(expected) == 26
    for number in (signal.SIGTERM, signal.SIGKILL):
        clear(noisy, "resample")
        process = start(noisy, "resample")
        while not list(noisy.glob("data/audio/x/*.flac")):
            assert process.poll() is None
            time.sleep(0.005)
        kill(process, number)
        whole(noisy, "resample", expected)
        assert not (noisy / resample.AUDIO).exists()
    process = start(noisy, "resample")
    while not (workers := psutil.Process(process.pid).children()):
        time.sleep(0.005)
    workers[0].kill()
    assert "a process that resamples was killed" in end(process, expected=1)
    end(start(noisy, "resample"))
    assert made(noisy, "resample") == expected  # nothing is left of what was being written


@pytest.mark.parametrize("fault", ["full", "limited", "read-only", "forbidden"])
def test_what_cannot_be_written_is_one_message_and_the_next_run_finishes(noisy, fault):
    clear(noisy, "split")
    splits = noisy / "data/splits"
    splits.mkdir(exist_ok=True)
    before, limit = [], None
    if fault == "full":
        before = mounted(splits, "size=4k,nr_inodes=2")
    elif fault == "limited":
        limit = writes_at_most(600)
    elif fault == "read-only":
        before = mounted(splits, "ro")
    else:
        before = as_anybody()
        splits.chmod(0o555)
    said = end(start(noisy, "split", before, limit), expected=1)
    splits.chmod(0o755)
    reason = {
        "full": "No space left on device; make room on that disk",
        "limited": "File too large; raise the limit on the size of files",
        "read-only": "Read-only file system; mount that file system for writing",
        "forbidden": "Permission denied; give yourself the right to it",
    }[fault]
    assert said.count("\n") == 1
    assert said.startswith("error: data/splits/") and f".csv: {reason}" in said and ", then run again" in said
    assert not made(noisy, "split")  # not a half of a file
    end(start(noisy, "split"))
    assert len(made(noisy, "split")) == len(OUTPUTS["split"])


def test_a_source_that_may_not_be_read_is_listed_with_its_reason(noisy):
    before = as_anybody()
    (noisy / "recordings/3.wav").chmod(0)
    end(start(noisy, "resample", before))
    (noisy / "recordings/3.wav").chmod(0o644)
    rejected = (noisy / resample.REJECTED).read_text().splitlines()
    assert rejected[1:] == [f"x/3,{noisy}/recordings/3.wav,cannot be opened: Permission denied"]


def test_a_file_keeps_its_content_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "deep" / "table [1].csv"
    with writing(path) as part:
        part.write_text("old")
    with pytest.raises(UserError, match=r"table \[1\].csv: No space left on device; make room"), writing(path) as part:
        part.write_text("new, and not")
        with Path("/dev/full").open("w") as full:
            full.write("all of it")
    with pytest.raises(ZeroDivisionError), writing(path) as part:  # a fault of the program is not called another
        part.write_text(str(1 / 0))
    assert [file.read_text() for file in path.parent.iterdir()] == ["old"]


def test_of_two_runs_that_write_one_file_one_is_whole_and_the_other_is_told(tmp_path):
    path = tmp_path / "table.csv"
    second = f"from pathlib import Path; from stages.contracts.tables import write_cells; import pandas; " \
        f"write_cells(pandas.DataFrame({{'a': [2]}}), Path({str(path)!r}))"  # fmt: skip
    with pytest.raises(UserError, match=r"table\.csv: another run has written it meanwhile"), writing(path) as part:
        part.write_text("a\n1")
        subprocess.run([sys.executable, "-c", second], env=ALONE, check=True)
    assert path.read_text() == "a\n2\n"
    assert list(tmp_path.iterdir()) == [path]


# ---- on every stage: slow


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a folder in which every stage has run once, how long each took, and what it made."""
    folder = tmp_path_factory.mktemp("faults")
    small_encoder(folder / "encoder")
    clone = Clone(folder)
    shutil.copy(ROOT / "params.yaml", folder)
    clone.set(
        data__demo__speakers=6, data__demo__utterances=6, train__epochs=2, train__batch_size=8, model__hidden=16,
        text__encoder=str(folder / "encoder"), text__epochs=2, text__learning_rate=0.01,
        forest__trees=5, forest__cross_fit=2, plot__dpi=40, runtime__threads=1,
    )  # fmt: skip
    for command in (
        "init",
        "add params.yaml",
        "-c user.name=x -c user.email=x@x commit -m x",
    ):  # DVCLive wants a commit
        clone.run("git", *command.split())
    times, expected = {}, {}
    for stage in STAGES:
        began = time.monotonic()
        end(start(folder, stage))
        times[stage], expected[stage] = time.monotonic() - began, made(folder, stage)
        assert expected[stage]
    return folder, times, expected


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_that_is_killed_at_any_moment_leaves_what_is_whole_and_ends_in_the_same_bytes(project, stage):
    folder, times, expected = project
    moments = np.random.default_rng(STAGES.index(stage)).uniform(0.3, 1, 4) * times[stage]
    for moment, number in zip(moments, [signal.SIGTERM, signal.SIGKILL] * 2, strict=True):
        clear(folder, stage)
        process = start(folder, stage)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            kill(process, number)
        whole(folder, stage, expected[stage])
    end(start(folder, stage))  # over what the last kill left, which DVC would have removed
    assert made(folder, stage) == expected[stage]
    assert not (folder / ".checkpoints").exists()


# The size of a file at which writing fails: small ones go through, and in a training, the checkpoint or the model.
LIMITS = {
    "fetch": 5_000, "resample": 20_000, "split": 1_000, "encode": 200_000, "finetune_audio": 100_000,
    "cross_fit_audio": 10, "finetune_text": 40_000, "fit_forest": 5_000, "evaluate": 1_100, "plot": 20_000,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_whose_disk_is_full_says_so_and_the_next_run_finishes(project, stage):
    folder, _, expected = project
    clear(folder, stage)
    said = end(start(folder, stage, limit=writes_at_most(LIMITS[stage])), expected=1)
    last = said.splitlines()[-1]
    assert last.startswith("error: ")
    assert "File too large; raise the limit" in last or "is the disk full?" in last or "No space left" in last, said
    whole(folder, stage, expected[stage])
    end(start(folder, stage))
    assert made(folder, stage) == expected[stage]


@pytest.mark.slow
@pytest.mark.parametrize("place", [".checkpoints", "models/audio", "metrics/audio"])
def test_a_training_names_the_folder_whose_disk_is_full(project, place):
    folder, _, expected = project
    clear(folder, "finetune_audio")
    before = mounted(folder / place, "size=8k")
    said = end(start(folder, "finetune_audio", before), expected=1).splitlines()[-1]
    assert said.startswith(f"error: {place}") and "No space left on device; make room on that disk" in said
    shutil.rmtree(folder / place)  # where it was mounted
    end(start(folder, "finetune_audio"))
    assert made(folder, "finetune_audio") == expected["finetune_audio"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_processes_that_encode_together_end_together(project, number):
    folder, *_ = project
    clone = Clone(folder)
    before = (folder / "params.yaml").read_text()
    clone.set(runtime__processes=2)
    clear(folder, "encode")
    process = start(folder, "encode")
    deadline = time.monotonic() + 300
    while not list(folder.glob("data/encoded/parts/*/.frames*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    kill(process, number)
    assert not (folder / "data/encoded/encoding.json").exists()
    (folder / "params.yaml").write_text(before)
    clear(folder, "encode")
    end(start(folder, "encode"))


@pytest.mark.slow
def test_two_trainings_of_one_stage_do_not_disturb_each_other(project):
    folder, _, expected = project
    clear(folder, "finetune_audio")
    first = start(folder, "finetune_audio")
    while not (folder / ".checkpoints/finetune_audio.lock").exists():
        time.sleep(0.02)
    first.send_signal(signal.SIGSTOP)
    said = end(start(folder, "finetune_audio"), expected=1)
    assert "finetune_audio: another run of it is under way in this folder; wait for its end, or stop it" in said
    first.send_signal(signal.SIGCONT)
    end(first)
    assert made(folder, "finetune_audio") == expected["finetune_audio"]


# ---- under DVC: slow


@pytest.fixture
def clone(tmp_path):
    """Return a clone whose first stages take seconds."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(tmp_path / "clone")], check=True)
    cloned = Clone(tmp_path / "clone")
    for name in ("stages", "dvc.yaml", "params.yaml"):  # what is being worked on, committed or not
        shutil.rmtree(cloned.folder / name) if (ROOT / name).is_dir() else (cloned.folder / name).unlink()
        subprocess.run(["cp", "-r", str(ROOT / name), str(cloned.folder / name)], check=True)
    cloned.set(data__demo__speakers=8, data__demo__utterances=40)
    return cloned


def dvc(clone: Clone, *command: str) -> subprocess.Popen:
    return subprocess.Popen(
        ["dvc", *command], cwd=clone.folder, env=ENVIRONMENT, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def wait_for_the_first_recordings(clone: Clone) -> None:
    deadline = time.monotonic() + 120
    while not list(clone.folder.glob("data/raw/audio/demo/*.wav")):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
def test_two_runs_of_dvc_at_once_the_second_is_told_and_the_third_has_nothing_to_do(clone):
    first = dvc(clone, "repro", "split")
    wait_for_the_first_recordings(clone)
    second = dvc(clone, "repro", "split")
    said, _ = second.communicate(timeout=120)
    assert second.returncode != 0
    assert first.poll() is None, "the first was too quick for the second"
    assert "is busy, it is being blocked by" in said or "Unable to acquire lock" in said
    output, _ = first.communicate(timeout=300)
    assert first.returncode == 0, output
    third = clone.run("dvc", "repro", "split")
    assert clone.ran(third) == [] and "up to date" in third.stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stage_ends_with_the_dvc_that_started_it(clone, number):
    running = dvc(clone, "repro", "split")
    wait_for_the_first_recordings(clone)
    kill(running, number)
    assert not (clone.folder / resample.RAW).exists()
    assert clone.ran(clone.run("dvc", "repro", "split")) == ["fetch", "resample", "split"]
