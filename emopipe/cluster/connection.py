"""The connection to a Ray cluster, and functions that its nodes run."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, TypeVar

from emopipe.fingerprint import ROOT
from emopipe.io.errors import UserError
from emopipe.parameters import Runtime

Key = TypeVar("Key")
Input = TypeVar("Input")
Result = TypeVar("Result")

OUTSIDE = "ray://"  # what the address of a cluster begins with that is reached through its head
CODE = ("emopipe", "stages", "requirements.txt")  # what a stage on a node runs, and its fingerprint is made of
LOST_NODES = 10  # nodes that one piece of work may lose before the run counts as failed
ANSWER = 10.0  # seconds in which a cluster must take a connection
AHEAD = 2  # pieces that wait for a node beside those that are worked on


def connect(address: str, key: str):  # noqa: ANN201 - a module
    """Connect to a cluster, whose nodes get the code as it is here; return the library.

    Args:
        address: ``auto`` (the cluster of this machine), ``HOST:PORT``, or ``ray://HOST:PORT`` from outside
        key: where the address was given, for messages

    Raises:
        UserError: where Ray is not installed, or no cluster answers
    """
    try:
        import ray
    except ImportError:
        raise UserError(f"{key}: Ray is not installed; `pip install -r requirements-cluster.txt`") from None
    if address.startswith(OUTSIDE) and find_spec("grpc") is None:
        raise UserError(f"{key}: {OUTSIDE} needs more of Ray than is installed; `pip install 'ray[client]'`")
    if not ray.is_initialized():
        try:
            _knock(address)
            with TemporaryDirectory() as code:
                _copy_code(Path(code))
                ray.init(address=address, runtime_env={"working_dir": code}, log_to_driver=False, logging_level="ERROR")
        except ConnectionError as error:
            raise UserError(
                f"{key}: no Ray cluster answers at {address} ({error}); `ray start --head` begins one"
            ) from None
    return ray


def _knock(address: str) -> None:
    """Raise a ConnectionError where nobody listens at HOST:PORT, for which Ray would wait minutes."""
    host, _, port = address.removeprefix(OUTSIDE).rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
        except OSError as error:  # of names that are unknown, too
            raise ConnectionError(str(error)) from None


def _copy_code(folder: Path) -> None:
    """Copy this package, and the stages beside it, where there are some."""
    for name in CODE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.is_file():
            shutil.copy(source, folder)


def gpus_of_a_piece(ray: Any, wanted: bool) -> int:
    """Return how many GPUs a piece of work takes: one where it wants one and nodes have some."""
    return int(wanted and ray.cluster_resources().get("GPU", 0) >= 1)


def tell_of_room(ray: Any, pieces: int, cpus: float) -> None:
    """Tell where nodes are missing; they may come yet, and Ray waits for them without a word.

    Args:
        ray: the library, connected
        pieces: of work that are to run at a time
        cpus: that each takes, on one node
    """
    found = room(ray, cpus)
    if found < pieces:
        nodes = sum(node["Alive"] for node in ray.nodes())
        print(
            f"waiting for nodes: {pieces} at a time with {cpus:g} processors each are wanted (runtime.processes, "
            f"runtime.threads), and the {nodes} of the cluster have room for {found}",
            file=sys.stderr,
            flush=True,
        )


def room(ray: Any, cpus: float) -> int:
    """Return how many pieces of work the nodes can hold at a time, each of which takes so many processors of one."""
    return sum(int(node["Resources"].get("CPU", 0) // cpus) for node in ray.nodes() if node["Alive"])


class Cluster:
    """A Ray cluster as one map over pieces of work."""

    def __init__(self, address: str, cpus: float, gpu: bool) -> None:
        """Connect; see :meth:`of`."""
        self._ray = connect(address, "runtime.address")
        self._cpus, self._gpus = cpus, gpus_of_a_piece(self._ray, gpu)

    @classmethod
    def of(cls, runtime: Runtime, cpus: float, gpu: bool) -> Self | None:
        """Connect to the cluster that the parameters name; None: they name none.

        Args:
            runtime: engine and address
            cpus: that a piece of work takes
            gpu: whether it takes a GPU, where nodes have some

        Raises:
            UserError: where Ray is not installed, or no cluster answers
        """
        return None if runtime.engine == "local" else cls(runtime.address, cpus, gpu)

    def map(
        self, function: Callable[[Any, Input], Result], shared: Any, pieces: Iterable[tuple[Key, Input]]
    ) -> Iterator[tuple[Key, Result]]:
        """Yield what a function returns for each piece of work, as they come.

        A piece whose node is lost is given to another one.

        Args:
            function: of what is shared and of the piece
            shared: sent to every node once
            pieces: what they are called, and what the function is given; taken as nodes have room
        """
        ray, left = self._ray, iter(pieces)
        common = ray.put(shared)
        tell_of_room(ray, 1, self._cpus)
        task = ray.remote(num_cpus=self._cpus, num_gpus=self._gpus, max_retries=LOST_NODES)(function)
        running: dict[Any, Key] = {}
        while True:
            while len(running) < room(ray, self._cpus) + AHEAD and (piece := next(left, None)) is not None:
                running[task.remote(common, piece[1])] = piece[0]
            if not running:
                return
            (done,), _ = ray.wait(list(running), num_returns=1)
            yield running.pop(done), self._result(done)

    def _result(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, UserError) else error from None
