"""A Ray cluster on this machine: a head without processors, and nodes with one each and folders of their own."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from helpers.processes import ENVIRONMENT, kill_all, start


class Nodes:
    """The nodes of a cluster, as processes that a test may kill."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free, socket.socket() as other:
            for one in (free, other):
                one.bind(("127.0.0.1", 0))
            self.address, outside = (f"127.0.0.1:{one.getsockname()[1]}" for one in (free, other))
        self.outside = f"ray://{outside}"  # for those who are not on a machine of the cluster
        self.folder = folder
        self.processes: list[subprocess.Popen] = []
        host, port = self.address.split(":")
        ports = ("--node-ip-address", host, "--port", port, "--ray-client-server-port", outside.split(":")[1])
        self._start("--head", *ports, "--include-dashboard=false", "--num-cpus", "0")
        self._wait(1)

    def add(self) -> Path:
        """Begin a node; return its folder."""
        own = self.folder / f"node-{len(self.processes)}"
        self._start("--address", self.address, "--num-cpus", "1", EMOPIPE_CACHE=str(own))
        self._wait(len(self.processes))
        return own

    def kill(self, folder: Path) -> None:
        """Kill a node by its folder: the raylet, as a machine that is lost takes it along."""
        process = self.processes[int(folder.name.rpartition("-")[2])]
        for child in psutil.Process(process.pid).children(recursive=True):
            if "raylet" in child.name():
                child.kill()

    def stop(self) -> None:
        """End all nodes, the head last."""
        for process in reversed(self.processes):
            children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            with suppress(ProcessLookupError):  # one that a test has killed
                kill_all(process)
            for child in children:
                if child.is_running():
                    child.kill()

    def _start(self, *words: str, **environment: str) -> None:
        command = ("ray", "start", "--block", "--disable-usage-stats", *words)
        self.processes.append(start(self.folder, *command, environment=ENVIRONMENT | environment))

    def _wait(self, nodes: int) -> None:
        connected = f"import ray; ray.init('{self.address}', logging_level='ERROR')"
        ask = f"{connected}; print(sum(node['Alive'] for node in ray.nodes()))"
        deadline = time.monotonic() + 90
        while True:
            done = subprocess.run(["python", "-c", ask], env=ENVIRONMENT, capture_output=True, text=True)
            if done.returncode == 0 and int(done.stdout.split()[-1]) >= nodes:
                return
            assert time.monotonic() < deadline, done.stderr
            time.sleep(0.5)


@contextmanager
def ray_nodes(folder: Path, count: int) -> Iterator[Nodes]:
    """Give a cluster with so many nodes beside its head; it ends with the block."""
    nodes = Nodes(folder)
    try:
        for _ in range(count):
            nodes.add()
        yield nodes
    finally:
        nodes.stop()
