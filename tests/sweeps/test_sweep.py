"""The command `emopipe sweep` on this machine, with real DVC."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emopipe.sweeps.job import JOB, SOURCE
from helpers.clones import Clone
from helpers.processes import ENVIRONMENT, end, kill, start

IDENTITY = ["-c", "user.name=t", "-c", "user.email=t@t"]


@pytest.fixture(scope="module")
def committed(clone):
    """Return a reproduced clone of which everything is committed."""
    clone.run("git", "add", "-A")
    clone.run("git", *IDENTITY, "commit", "--quiet", "-m", "small")
    return clone


def sweep(clone: Clone, *words: str) -> subprocess.CompletedProcess[str]:
    return clone.run(sys.executable, "-m", "emopipe", "sweep", *words, check=False)


def refused(clone: Clone, *words: str) -> str:
    """Return what the command says as it refuses, which it does before anything runs."""
    done = sweep(clone, *words)
    assert done.returncode == 1
    assert done.stderr.startswith("error: "), done.stderr
    assert "done after" not in done.stdout + done.stderr
    return done.stderr


def rows(clone: Clone, name: str) -> dict[str, dict[str, str]]:
    with (clone.folder / f".dvc/tmp/sweeps/{name}/runs.csv").open(newline="") as file:
        return {row["run"]: row for row in csv.DictReader(file)}


def tree(clone: Clone, name: str) -> str:
    return clone.run("git", "rev-parse", f"{clone.experiment(name)}^{{tree}}").stdout


def workspace(clone: Clone) -> dict[Path, int]:
    """Return when each file was changed that is the user's."""
    others = {".git", ".dvc", "__pycache__"}
    files = [path for path in clone.folder.rglob("*") if not others & {*path.relative_to(clone.folder).parts}]
    return {path: path.stat().st_mtime_ns for path in files if path.is_file()}


def test_a_sweep_makes_the_experiments_that_dvc_makes_one_by_one(committed):
    other = Clone(committed.folder.parent / "other")  # with a cache of its own
    shutil.copytree(committed.folder, other.folder, symlinks=True)
    alone = start(other.folder, "dvc", "exp", "run", "-n", "own", "-S", "forest.trees=6")
    before, head = workspace(committed), committed.run("git", "rev-parse", "HEAD").stdout
    done = sweep(committed, "s", "-S", "forest.trees=6,7", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert alone.wait(120) == 0
    assert tree(committed, "s-trees-6") == tree(other, "own")
    assert tree(committed, "s-trees-7") != tree(other, "own")
    assert {row["state"] for row in rows(committed, "s").values()} == {"done"}
    assert workspace(committed) == before
    assert committed.run("git", "status", "--porcelain").stdout == ""
    assert committed.run("git", "rev-parse", "HEAD").stdout == head
    assert not [path for path in (committed.folder / ".dvc/tmp/sweeps/s").iterdir() if path.is_dir()]  # clones
    assert "uar" in committed.run("python", "-m", "emopipe", "compare", "s-trees-6", "s-trees-7").stdout

    again = sweep(committed, "s", "-S", "forest.trees=6,7")
    assert (again.returncode, again.stdout) == (0, "s: 2 runs, of which 2 are done\n")
    told = refused(committed, "s", "-S", "forest.trees=6,7", "-S", "plot.dpi=50")
    assert "s-trees-6: an experiment of this name has other parameters" in told


def test_a_run_that_fails_says_why_and_leaves_the_others_alone(committed):
    values = "model.backbone=whisper_tiny_en,/nowhere"
    done = sweep(committed, "f", "-S", values, "--jobs", "2", "--retries", "0")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: 1 run(s) failed: f-backbone-nowhere; ")
    found = rows(committed, "f")
    assert found["f-backbone-whisper_tiny_en"]["state"] == "done"
    assert found["f-backbone-nowhere"]["state"] == "failed"
    assert found["f-backbone-nowhere"]["reason"].startswith("error: model.backbone: no folder at /nowhere")
    assert "Running stage 'encode'" in (committed.folder / ".dvc/tmp/sweeps/f/f-backbone-nowhere.log").read_text()
    assert tree(committed, "f-backbone-whisper_tiny_en")


@pytest.mark.parametrize("search", [[], ["--search", "3"]])
@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("train.sede=1,2", "train.sede"),
        ("forest.trees=5,many", "forest.trees: 'many': "),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(committed, word, told, search):
    pytest.importorskip("optuna")
    assert told in refused(committed, "w", "-S", word, *search)
    assert not list((committed.folder / ".dvc/tmp/sweeps/w").glob("*.log"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["a b"], "a b: not a name"),
        (["a" * 41], "41 characters"),
        (["w", "--jobs", "0"], "--jobs 0: at least 1"),
        (["w", "--limit", "0"], "--limit 0: at least 0.001"),
        (["w", "--search", "0"], "--search 0: at least 1"),
    ],
)
def test_arguments_are_checked(committed, words, told):
    assert told in refused(committed, *words)


def test_a_change_that_is_not_committed_is_named(committed):
    file = committed.folder / "params.yaml"
    before = file.read_text()
    file.write_text(f"{before}\n")
    assert "error: params.yaml: changed since the last commit" in refused(committed, "w", "-S", "forest.trees=5,6")
    file.write_text(before)


def test_a_cluster_needs_a_remote(committed):
    assert "no DVC remote" in refused(committed, "w", "-S", "forest.trees=5,6", "--on", "127.0.0.1:1")


def test_a_run_is_stopped_at_the_limit(committed):
    done = sweep(committed, "late", "-S", "text.seed=5", "--limit", "0.05")
    assert done.returncode == 1
    assert rows(committed, "late")["late"]["reason"] == "took longer than 3 s"
    assert rows(committed, "late")["late"]["tries"] == "1"


def begun(clone: Clone, name: str, pattern: str, *words: str) -> subprocess.Popen[str]:
    """Start a sweep, and return its process once a file is there."""
    process = start(clone.folder, sys.executable, "-m", "emopipe", "sweep", name, *words)
    deadline = time.monotonic() + 100
    while not list((clone.folder / f".dvc/tmp/sweeps/{name}").glob(pattern)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def test_a_sweep_that_is_interrupted_ends_at_once_and_is_not_run_twice_at_a_time(committed):
    words = ["-S", "train.seed=3", "-S", "train.epochs=500"]  # minutes, if it were not interrupted
    process = begun(committed, "i", "*/clone/.dvc/config.local", *words)
    assert "i: this sweep is running already" in refused(committed, "i", *words)
    began = time.monotonic()
    kill(process, signal.SIGINT)
    assert process.returncode == 128 + signal.SIGINT
    assert time.monotonic() - began < 10  # the run would take longer


def test_a_run_ends_whose_sweep_ended_before_it_looked(committed, tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    commit = committed.run("git", "rev-parse", "HEAD").stdout.strip()
    committed.run("git", "bundle", "create", "--quiet", str(tmp_path / SOURCE), "HEAD")
    cache, run = str(committed.folder / ".dvc/cache"), ["x", ["text.seed=6"], []]
    job = {"run": run, "commit": commit, "configuration": "", "cache": cache, "limit": None}
    (tmp_path / JOB).write_text(json.dumps(job))
    command = [sys.executable, "-m", "emopipe.sweeps.job", str(tmp_path), str(gone.pid)]
    process = start(committed.folder, *command, stderr=subprocess.PIPE, environment=ENVIRONMENT)
    end(process, -signal.SIGKILL)


@pytest.mark.slow
def test_a_sweep_that_is_killed_goes_on_even_from_another_commit(committed):
    words = ["-S", "train.seed=1,2", "--jobs", "2"]
    process = begun(committed, "k", "*/clone/.checkpoints/finetune_audio/*", *words)
    kill(process, signal.SIGKILL)
    left = list((committed.folder / ".dvc/tmp/sweeps/k").glob("*/clone"))
    assert left
    for clone in left:
        (clone / ".git/index.lock").touch()  # as a kill in the middle of a commit leaves it
    committed.run("git", *IDENTITY, "commit", "--quiet", "--allow-empty", "-m", "other")
    done = sweep(committed, "k", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    alone = committed.run("dvc", "exp", "run", "-n", "own", "-S", "train.seed=2").stdout
    assert "Running stage" not in alone  # all of it is there
    assert tree(committed, "k-seed-2") == tree(committed, "own") != tree(committed, "k-seed-1")
    committed.run("git", "reset", "--quiet", "--hard")


@pytest.mark.slow
def test_a_search_ends_with_the_best(committed):
    pytest.importorskip("optuna")
    words = ["-S", "plot.dpi=int(interval(40,60))", "--search", "3", "--jobs", "2"]
    done = sweep(committed, "search", *words)
    assert done.returncode == 0, done.stderr
    name = done.stdout.splitlines()[-1].split(":")[0]
    scores = json.loads(committed.run("git", "show", f"{committed.experiment(name)}:metrics/audio/metrics.json").stdout)
    assert done.stdout.splitlines()[-1].startswith(f"{name}: dev.uar {scores['dev']['uar']:.4f} with plot.dpi=")
    experiments = [row["run"] for row in rows(committed, "search").values() if not row["stages"]]
    assert experiments == ["search-000", "search-001", "search-002"]
    assert all(committed.experiment(name) for name in experiments)
    again = sweep(committed, "search", *words)
    assert again.stdout.splitlines() == ["search: 3 runs, of which 3 are done", done.stdout.splitlines()[-1]]
