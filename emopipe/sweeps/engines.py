"""Where the runs of a sweep are carried out: on this machine, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Protocol

from emopipe.cluster.connection import LOST_NODES, connect
from emopipe.io.cache import cache_folder
from emopipe.sweeps.job import Job, Outcome, carry_out


class Engine(Protocol):
    """Carries jobs out, several at a time."""

    @property
    def slots(self) -> int:
        """How many jobs run at a time."""
        ...

    def submit(self, job: Job) -> Future[Outcome]:
        """Begin a job as soon as there is room for it."""
        ...

    def close(self) -> None:
        """Stop what still runs."""
        ...


class Local:
    """Processes of this machine, which share the project's cache."""

    def __init__(self, source: bytes, folder: Path, slots: int) -> None:
        """Take the project as a bundle, a folder for clones, and how many jobs run at a time."""
        self.source, self.folder, self.slots = source, folder.absolute(), slots
        self._pool, self._stop = ThreadPoolExecutor(slots), Event()

    def submit(self, job: Job) -> Future[Outcome]:
        """Begin a job as soon as there is room for it."""
        return self._pool.submit(carry_out, job, self.source, self.folder / job.run.name, self._stop)

    def close(self) -> None:
        """Drop what waits, and stop what runs: the interpreter does not end before its threads do."""
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)


class Ray:
    """Tasks of a Ray cluster; a task whose node is lost is given to another one."""

    def __init__(self, source: bytes, address: str, name: str, cpus: float, gpus: float) -> None:
        """Connect to a cluster.

        Args:
            source: the project, as a bundle of Git's
            address: ``auto`` (this machine's), ``HOST:PORT``, or ``ray://HOST:PORT``
            name: of the sweep, for folders on the nodes
            cpus: that a run takes
            gpus: that a run takes

        Raises:
            UserError: where Ray is not installed, or no cluster answers
        """
        self._ray = connect(address, "--on")
        self._source, self._name, self._cpus, self._gpus = self._ray.put(source), name, cpus, gpus
        self._task: Callable[..., object] = self._ray.remote(
            num_cpus=cpus, num_gpus=gpus, max_retries=LOST_NODES, max_calls=1
        )(_on_node)

    @property
    def slots(self) -> int:
        """How many jobs the nodes have room for that are there now; one waits where none has."""
        there = self._ray.cluster_resources()
        room = there.get("CPU", 0) // self._cpus
        return max(1, int(min(room, there.get("GPU", 0) // self._gpus) if self._gpus else room))

    def submit(self, job: Job) -> Future[Outcome]:
        """Begin a job as soon as a node has room for it."""
        return self._task.remote(job, self._source, self._name).future()

    def close(self) -> None:
        """Leave the cluster, which stops what this sweep still runs there."""
        self._ray.shutdown()


def _on_node(job: Job, source: bytes, sweep: str) -> Outcome:
    return carry_out(job, source, cache_folder() / "sweeps" / sweep / job.commit[:12] / job.run.name)
