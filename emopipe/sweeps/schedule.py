"""Carrying out a sweep: which run is next, what became of each, and what is kept of it."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Protocol

import pandas as pd

from emopipe.io.outputs import atomic_write
from emopipe.sweeps.engines import Engine
from emopipe.sweeps.job import SHOWN, Job, Outcome
from emopipe.sweeps.preparation import Preparation
from emopipe.sweeps.project import Project
from emopipe.sweeps.runs import Run

INTERVAL = 10  # seconds between two looks at how many runs there is room for


@dataclass
class Entry:
    """What became of a run."""

    run: str
    parameters: str
    stages: str  # of a run that prepares others
    state: str = "waiting"  # waiting | running | done | failed | pruned
    tries: int = 0
    seconds: float | None = None  # of the last try
    machine: str = ""
    reason: str = ""  # why it failed, or was stopped


class Table:
    """What became of every run: runs.csv in the sweep's folder, written anew at every change, beside their logs."""

    def __init__(self, folder: Path, runs: Sequence[Run], done: Sequence[Run] = ()) -> None:
        """Begin with runs that were done before, of which the table tells what it told then, and runs that wait."""
        self.folder = folder
        self.entries: dict[str, Entry] = {}
        before = self._read()
        for run in done:
            self._entry(run).state = "done"
            self.entries[run.name] = before.get(run.name, self.entries[run.name])
        for run in runs:
            self._entry(run)
        self._write()

    def set(self, run: Run, state: str, outcome: Outcome | None = None) -> None:
        """Write down that a run is running, done, failed or pruned, and say so where it has ended."""
        entry = self._entry(run)
        entry.state = state
        entry.tries += state == "running"
        if outcome is not None:
            entry.seconds, entry.machine, entry.reason = round(outcome.seconds, 1), outcome.machine, outcome.reason
            ended = sum(entry.state in ("done", "failed", "pruned") for entry in self.entries.values())
            print(
                f"{ended:4}/{len(self.entries)}  {run.name}: {state} after {outcome.seconds:.0f} s on {outcome.machine}"
                f"{': ' if outcome.reason else ''}{outcome.reason}",
                flush=True,
            )
        self._write()

    def keep_log(self, run: Run, log: bytes) -> None:
        """Keep what a run printed."""
        (self.folder / f"{run.name}.log").write_bytes(log)

    def tries(self, run: Run) -> int:
        """Return how often a run was begun."""
        return self.entries[run.name].tries

    def failed(self) -> list[Entry]:
        """Return the runs that failed, those that prepare others left out."""
        return [entry for entry in self.entries.values() if entry.state == "failed" and not entry.stages]

    def _read(self) -> dict[str, Entry]:
        """Return the entries of what was done, where there is a table."""
        file, names = self.folder / "runs.csv", [field.name for field in fields(Entry)]
        if not file.is_file():
            return {}
        with file.open(encoding="utf-8", newline="") as lines:
            rows = csv.DictReader(lines)
            found = list(rows) if rows.fieldnames == names else []
        return {
            row["run"]: Entry(**row | {"tries": int(row["tries"]), "seconds": float(row["seconds"])})
            for row in found
            if row["state"] == "done" and row["seconds"]
        }

    def _entry(self, run: Run) -> Entry:
        new = Entry(run.name, " ".join(run.overrides), " ".join(run.stages))
        return self.entries.setdefault(run.name, new)

    def _write(self) -> None:
        with atomic_write(self.folder / "runs.csv") as part:
            pd.DataFrame([asdict(entry) for entry in self.entries.values()]).to_csv(part, index=False)


class Source(Protocol):
    """Says which run is next."""

    def next(self) -> Run | None:
        """Return a run to begin; None: there is none, or none before another one has ended."""
        ...

    def ended(self, run: Run, outcome: Outcome) -> None:
        """Take note of how a run ended."""
        ...


class Grid:
    """Runs that are known from the beginning, those that prepare others first."""

    def __init__(self, prepared: Sequence[Preparation], runs: Sequence[Run]) -> None:
        """Take the runs, and what some of them have in common."""
        self._left = deque([*(preparation.run for preparation in prepared), *runs])
        self._followers = {preparation.run.name: preparation.followers for preparation in prepared}

    def next(self) -> Run | None:
        """Return the first run that waits for no other one."""
        for run in self._left:
            if not any(run.name in names for names in self._followers.values()):
                self._left.remove(run)
                return run
        return None

    def ended(self, run: Run, outcome: Outcome) -> None:
        """Let go those that waited; where what they share has failed, each of them says why."""
        self._followers.pop(run.name, None)


def carry_out(
    source: Source, engine: Engine, project: Project, job: Callable[[Run], Job], table: Table, retries: int
) -> None:
    """Run a sweep to its end; a run that fails leaves the others alone.

    Args:
        source: of the runs
        engine: carries out
        project: takes the experiments over
        job: makes the job of a run
        table: what became of each
        retries: how often a run that failed is tried again; not one that took too long
    """
    running: dict[Future[Outcome], Run] = {}

    def begin(run: Run) -> None:
        running[engine.submit(job(run))] = run
        table.set(run, "running")

    while True:
        while len(running) < engine.slots and (run := source.next()) is not None:
            begin(run)
        if not running:
            return
        for future in wait(running, INTERVAL, FIRST_COMPLETED).done:
            run, outcome = running.pop(future), _outcome(future)
            table.keep_log(run, outcome.log)
            if outcome.pruned:
                table.set(run, "pruned", outcome)
            elif outcome.bundle is None:
                again = not outcome.late and table.tries(run) <= retries
                table.set(run, "failed", outcome)
                if again:
                    begin(run)
                    continue
            else:
                if not run.stages:
                    project.adopt(run.name, outcome.bundle)
                table.set(run, "done", outcome)
            source.ended(run, outcome)


def _outcome(future: Future[Outcome]) -> Outcome:
    """Return how a job ended; an engine that could not carry it out (a full disk, no node left) is a reason, too."""
    try:
        return future.result()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".strip().splitlines()[-1]
        return Outcome(None, {}, 0, "", reason[:SHOWN])
