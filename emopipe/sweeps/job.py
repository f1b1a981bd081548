"""One run of a sweep, in a clone of its own, on whichever machine: ``python -m emopipe.sweeps.job FOLDER PARENT``.

The folder holds what :func:`carry_out` puts there. A folder that a run before has left goes on from its checkpoints.
The process ends, and with it all that it started, when the one that started it has ended.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from platform import node
from threading import Event
from typing import Any

from emopipe.io.cache import cache_folder
from emopipe.io.ranks import VARIABLES
from emopipe.sweeps.runs import Run, experiment_reference

JOB, SOURCE, RESULT, LOG = "job.json", "source.bundle", "result.bundle", "log.txt"
SCORED = Path("metrics/audio/metrics.json")  # the scores on dev
INTERVAL = 0.5  # seconds between two looks at the process that started this one, and at whether it is to stop
SHOWN = 300  # characters of a reason


@dataclass(frozen=True)
class Watch:
    """By what a run is stopped that scores less on dev than others did."""

    curve: str  # as DVCLive writes it, within the clone: a line for every epoch, the score last
    committed: str  # its content in the commit: that of another run, until this one trains
    medians: tuple[float, ...]  # by epoch, below which the best score so far is too low; empty: none is


@dataclass(frozen=True)
class Job:
    """What is to be run."""

    run: Run
    commit: str
    configuration: str  # of DVC, beside what Git tracks
    cache: str | None  # DVC's; None: this machine's own, filled from the remote and sent to it
    limit: float | None  # seconds
    watch: Watch | None = None


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    bundle: bytes | None  # the experiment; None: it failed
    scores: dict[str, Any]  # on dev, where there are some
    seconds: float
    machine: str
    reason: str = ""  # why it failed
    late: bool = False  # whether because of the limit
    log: bytes = b""
    pruned: bool = False  # whether because others had scored more
    curve: tuple[float, ...] = ()  # the score of every epoch, where the job has a watch


def carry_out(job: Job, source: bytes, folder: Path, stop: Event | None = None) -> Outcome:
    """Run a job in a process of its own, and wait for it.

    Args:
        job: what is to be run
        source: the project, as a bundle of Git's
        folder: for its clone; removed when all went well
        stop: set by another thread to end the run before its time
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JOB).write_text(json.dumps(asdict(job)), encoding="utf-8")
    (folder / SOURCE).write_bytes(source)
    began = time.monotonic()
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - no outside input
            [sys.executable, "-m", "emopipe.sweeps.job", str(folder), str(os.getpid())],
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True, env=_environment(),
        )  # fmt: skip
        watching = Watching(job.watch, folder / "clone")
        try:
            late = _wait(process, job.limit, stop or Event(), watching)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    seconds, printed = time.monotonic() - began, (folder / LOG).read_bytes()
    if watching.reason:
        curve = watching.scores()
        shutil.rmtree(folder)
        return Outcome(None, {}, seconds, node(), watching.reason, log=printed, pruned=True, curve=curve)
    if process.returncode or late:
        reason = f"took longer than {job.limit:g} s" if late else _reason(printed.decode("utf-8", "replace"))
        return Outcome(None, {}, seconds, node(), reason, late, printed)
    scores = folder / "clone" / SCORED
    found = json.loads(scores.read_text(encoding="utf-8")) if scores.is_file() else {}
    bundle, curve = (folder / RESULT).read_bytes(), watching.scores()
    outcome = Outcome(bundle, found, seconds, node(), log=printed, curve=curve)
    shutil.rmtree(folder)
    return outcome


class Watching:
    """Looks at the scores of a run while it trains."""

    def __init__(self, watch: Watch | None, clone: Path) -> None:
        """Begin; without a watch there is nothing to see."""
        self._watch = watch
        self._file = clone / watch.curve if watch else clone
        self.reason = ""  # why the run is to be stopped

    def scores(self) -> tuple[float, ...]:
        """Return the score of every epoch that there is."""
        if self._watch is None:
            return ()
        try:
            content = self._file.read_text(encoding="utf-8")
        except OSError:  # DVC has removed it, and the training has not begun
            return ()
        if content == self._watch.committed:
            return ()
        with suppress(ValueError):  # a line that is half written
            return tuple(float(line.split("\t")[-1]) for line in content.splitlines()[1:])
        return ()

    def is_lost(self) -> bool:
        """Return whether the best score so far is below the median of the other runs at that epoch."""
        if self._watch is None or not self._watch.medians:
            return False
        found = self.scores()[: len(self._watch.medians)]
        median = self._watch.medians[len(found) - 1]
        if not found or not max(found) < median:
            return False
        self.reason = f"{max(found):.4f} at most after epoch {len(found)}, where half of the others had {median:.4f}"
        return True


def _wait(process: subprocess.Popen[bytes], limit: float | None, stop: Event, watching: Watching) -> bool:
    """Wait for a process to end, or to be stopped; return whether it took too long."""
    end = math.inf if limit is None else time.monotonic() + limit
    while not stop.is_set() and not watching.is_lost():
        left = min(INTERVAL, end - time.monotonic())
        if left <= 0:
            return True
        with suppress(subprocess.TimeoutExpired):
            process.wait(left)
            return False
    return False


def _environment() -> dict[str, str]:
    """Return the environment without what the engine has set for its own worker: it would change a run's threads."""
    own = Path(__file__).parents[2]
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RAY_", "DVC_")) and name not in VARIABLES
    }
    if any(name.startswith("RAY_") for name in os.environ):
        inherited.pop("OMP_NUM_THREADS", None)  # Ray's is the number of processors of a task
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", os.defpath)])
    return inherited | {"PATH": path, "PYTHONPATH": str(own)}


def _reason(printed: str) -> str:
    """Return the line that says best why a run failed: the stage's own, or else the last one."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("error: ")] or [line for line in lines if "ERROR: " in line]
    return (told or lines or ["killed before it said anything"])[-1][:SHOWN]


def main() -> None:
    """Clone, run, and leave the experiment in the folder."""
    folder, parent = Path(sys.argv[1]), int(sys.argv[2])
    content = json.loads((folder / JOB).read_text(encoding="utf-8"))
    job = Job(**content | {"run": Run(*content["run"])})
    clone, process = folder / "clone", _Process(parent)
    if (clone / ".git").is_dir():  # of a run before, perhaps of another commit, and perhaps killed
        for lock in (clone / ".git").rglob("*.lock"):
            lock.unlink()
        process("git", "-C", str(clone), "fetch", "--quiet", "--no-auto-gc", str(folder / SOURCE), "HEAD")
    else:
        shutil.rmtree(clone, ignore_errors=True)
        part = folder / "clone.part"
        shutil.rmtree(part, ignore_errors=True)
        process("git", "clone", "--quiet", "--no-checkout", str(folder / SOURCE), str(part))
        part.rename(clone)
    process("git", "-C", str(clone), "checkout", "--quiet", "--force", "--detach", job.commit)
    os.chdir(clone)
    Path(".dvc/config.local").write_text(job.configuration, encoding="utf-8")
    cache = job.cache or str(cache_folder() / "dvc")
    process("dvc", "config", "--local", "cache.dir", cache)
    reference = experiment_reference(job.commit, job.run.name)
    process("git", "update-ref", "-d", reference)  # of a run that was killed at its end
    changes = [word for override in job.run.overrides for word in ("-S", override)]
    pull = [] if job.cache else ["--pull"]
    process("dvc", "exp", "run", *pull, "--name", job.run.name, *changes, *job.run.stages)
    if not job.cache:
        process("dvc", "push", "--run-cache")
    process("git", "bundle", "create", "--quiet", str(folder / RESULT), reference, f"^{job.commit}")


class _Process:
    """Runs commands, one after the other, and ends all of them with the process that started this one."""

    def __init__(self, parent: int) -> None:
        self.parent = parent

    def __call__(self, *command: str) -> None:
        process = subprocess.Popen(command)  # noqa: S603 - no shell
        while True:
            with suppress(subprocess.TimeoutExpired):
                code = process.wait(INTERVAL)
                break
            if os.getppid() != self.parent:
                os.killpg(0, signal.SIGKILL)  # this session is the job's own
        if code:
            sys.exit(code if code > 0 else 128 - code)


if __name__ == "__main__":
    main()
