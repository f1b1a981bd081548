"""Carrying a sweep out: order, retries, the table of its runs, and the experiments that come of it."""

from __future__ import annotations

import csv
import shutil
import subprocess
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from emopipe.io.errors import UserError
from emopipe.sweeps import schedule
from emopipe.sweeps.job import Job, Outcome
from emopipe.sweeps.preparation import preparations
from emopipe.sweeps.project import Project
from emopipe.sweeps.runs import expand
from emopipe.sweeps.schedule import Grid, Table, carry_out
from helpers.paths import ROOT

RUNS = expand("s", ["train.seed=range(0,6)"])
NAMES = [run.name for run in RUNS]


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


class Adopting(Project):
    """A project that notes which experiments it takes over."""

    def __init__(self) -> None:
        super().__init__()
        self.adopted: list[str] = []

    def adopt(self, name: str, bundle: bytes) -> None:
        super().adopt(name, bundle)
        self.adopted.append(name)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Return a repository with the pipeline's parameters, and beside it, in ``node``, a clone."""
    own = tmp_path / "own"
    own.mkdir()
    monkeypatch.chdir(own)
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, own)
    for words in ("init --quiet", "add .", "commit --quiet -m x", "clone --quiet . ../node"):
        git(own, *words.split())
    return Adopting()


class Threads:
    """Runs a function for each job in a thread, without a limit of its own, and notes what begins and ends when."""

    def __init__(self, slots: int, work) -> None:
        self.slots, self.work, self.node = slots, work, Path("../node").absolute()
        self.events: list[tuple[str, str]] = []
        self.running, self.most = 0, 0
        self._pool, self._lock = ThreadPoolExecutor(20), threading.Lock()

    def submit(self, job: Job) -> Future[Outcome]:
        return self._pool.submit(self._carry_out, job)

    def close(self) -> None:
        self._pool.shutdown()

    def at(self, event: str, name: str) -> int:
        """Return when, in the order of all events, a run began or ended for the first time."""
        return self.events.index((event, name))

    def _carry_out(self, job: Job) -> Outcome:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
            self.events.append(("begins", job.run.name))
            tries = self.events.count(("begins", job.run.name))
        try:
            reason = self.work(job.run.name, tries)
        finally:
            with self._lock:
                self.running -= 1
                self.events.append(("ends", job.run.name))
        if reason:
            return Outcome(None, {}, 1.0, "m", reason, reason == "late", b"told")
        return Outcome(self._experiment(job), {}, 1.0, "m")

    def _experiment(self, job: Job) -> bytes:
        reference = f"refs/exps/{job.commit[:2]}/{job.commit[2:]}/{job.run.name}"
        commit = git(self.node, "commit-tree", "-p", job.commit, "-m", job.run.name, f"{job.commit}^{{tree}}").strip()
        git(self.node, "update-ref", reference, commit)
        file = self.node / f"{job.run.name}.bundle"
        git(self.node, "bundle", "create", "--quiet", str(file), reference, f"^{job.commit}")
        return file.read_bytes()


def swept(project: Project, engine: Threads, runs=RUNS, retries=1, prepared=()) -> Table:
    table = Table(Path(), [*(preparation.run for preparation in prepared), *runs])
    job = lambda run: Job(run, project.commit, "", None, None)  # noqa: E731
    carry_out(Grid(prepared, runs), engine, project, job, table, retries)
    engine.close()
    return table


def rows(table: Table) -> dict[str, dict[str, str]]:
    with (table.folder / "runs.csv").open(newline="") as file:
        return {row["run"]: row for row in csv.DictReader(file)}


def test_as_many_runs_as_there_is_room_for_and_each_experiment_once(project):
    engine = Threads(3, lambda name, tries: time.sleep(0.1))
    table = swept(project, engine)
    assert engine.most == 3
    assert sorted(project.adopted) == NAMES
    assert project.names() == set(NAMES)
    assert {row["state"] for row in rows(table).values()} == {"done"}
    assert table.failed() == []


def test_runs_wait_for_what_they_have_in_common(project):
    runs = expand("s", ["model.backbone=a,b", "train.seed=1,2", "forest.trees=5,6"])
    prepared = preparations(yaml.safe_load(Path("dvc.yaml").read_text())["stages"], runs)
    engine = Threads(20, lambda name, tries: time.sleep(0.02))
    swept(project, engine, runs, prepared=prepared)
    assert len(prepared) == 7
    for before in prepared:
        assert all(engine.at("ends", before.run.name) < engine.at("begins", name) for name in before.followers)
    assert sorted(project.adopted) == sorted(run.name for run in runs)  # what is prepared is no experiment


def test_where_a_preparation_fails_its_followers_run_all_the_same(project):
    prepared = preparations(yaml.safe_load(Path("dvc.yaml").read_text())["stages"], RUNS)
    name = prepared[0].run.name
    engine = Threads(2, lambda own, tries: "broken" if own == name else "")
    table = swept(project, engine, prepared=prepared, retries=2)
    assert engine.events[:6] == [("begins", name), ("ends", name)] * 3
    assert sorted(project.adopted) == NAMES
    assert rows(table)[name] == {
        "run": name, "parameters": "train.seed=0", "stages": "cross_fit_text encode finetune_text", "state": "failed",
        "tries": "3", "seconds": "1.0", "machine": "m", "reason": "broken",
    }  # fmt: skip
    assert table.failed() == []


def full(name: str, tries: int) -> str:
    """Fail always, at first, by the limit, or by an error of the engine's own."""
    if name == NAMES[3]:
        raise OSError(28, "No space left on device")
    return {NAMES[0]: "broken", NAMES[1]: "at first" if tries == 1 else "", NAMES[2]: "late"}.get(name, "")


def test_a_run_that_fails_is_tried_again_and_leaves_the_others_alone(project):
    engine = Threads(2, full)
    table = swept(project, engine, retries=2)
    found = {name: (row["state"], row["tries"], row["reason"]) for name, row in rows(table).items()}
    assert found == {
        NAMES[0]: ("failed", "3", "broken"),
        NAMES[1]: ("done", "2", ""),
        NAMES[2]: ("failed", "1", "late"),
        NAMES[3]: ("failed", "3", "OSError: [Errno 28] No space left on device"),
        NAMES[4]: ("done", "1", ""),
        NAMES[5]: ("done", "1", ""),
    }
    assert {entry.run for entry in table.failed()} == {NAMES[0], NAMES[2], NAMES[3]}
    assert sorted(project.adopted) == [NAMES[1], NAMES[4], NAMES[5]]
    assert engine.most <= 2
    assert Path(f"{NAMES[0]}.log").read_bytes() == b"told"


def test_room_that_comes_is_taken_before_a_run_ends(project, monkeypatch):
    monkeypatch.setattr(schedule, "INTERVAL", 0.05)
    met = threading.Barrier(2, timeout=20)  # passed if two run together
    engine = Threads(1, lambda name, tries: met.wait() and "")
    threading.Timer(0.2, lambda: setattr(engine, "slots", 2)).start()
    assert swept(project, engine, RUNS[:2]).failed() == []


def test_the_table_goes_on_telling_of_what_was_done_before(project):
    table = swept(project, Threads(2, full), retries=0)
    before = rows(table)
    done = [run for run in RUNS if before[run.name]["state"] == "done"]
    left = [run for run in RUNS if run not in done]
    after = rows(Table(Path(), left, [*done, *expand("s", ["train.seed=choice(9)"])]))
    assert {run.name: before[run.name] for run in done}.items() <= after.items()
    assert {after[run.name]["state"] for run in left} == {"waiting"}
    assert after["s-seed-9"]["state"] == "done"  # an experiment that was made elsewhere


def test_the_project_knows_what_is_missing(project):
    swept(project, Threads(2, full), RUNS[:2])
    with pytest.raises(UserError, match="s-seed-1: an experiment of this name has other parameters"):
        project.missing(RUNS)
    default = expand("s", ["train.seed=choice(42)"])  # the tree of the commit itself
    swept(project, Threads(1, lambda name, tries: ""), default)
    assert project.missing([*default, RUNS[0]]) == [RUNS[0]]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("train.sede=1,2", "s-sede-1: Could not override 'train.sede'"),
        ("train.seed=1,x", "s-seed-x: params.yaml: 1 invalid value"),
        ("train.seed=1,${nowhere}", "s-seed-nowhere: "),
        ("~train.seed", "s: "),
    ],
)
def test_parameters_are_checked_run_by_run(project, word, told):
    with pytest.raises(UserError) as refused:
        project.check(expand("s", [word]))
    assert str(refused.value).startswith(told)


def test_a_shallow_clone_is_refused(project, tmp_path, monkeypatch):
    Path("more").touch()
    git(Path(), "add", ".")
    git(Path(), "commit", "--quiet", "-m", "more")
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{tmp_path / 'own'}", "shallow")
    monkeypatch.chdir(tmp_path / "shallow")
    with pytest.raises(UserError, match="git fetch --unshallow"):
        Project()
