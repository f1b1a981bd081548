"""Training on the nodes of a Ray cluster: Ray Train starts the stage there, and its outputs come back.

Nothing is assumed of the nodes but the packages of the lock. Each gets the code, the parameters and the inputs of the
stage through Ray; the first process sends its outputs back, and every checkpoint as soon as it is whole. When a node is
lost, Ray Train starts the stage again on those that are left, or come, and it goes on from the last of them.
"""

from __future__ import annotations

import os
import runpy
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, flock
from pathlib import Path
from threading import Event, Thread
from typing import Any

import yaml
from filelock import FileLock

from emopipe import parameters, stage_file
from emopipe.cluster.connection import LOST_NODES, connect, gpus_of_a_piece, tell_of_room
from emopipe.io.cache import cache_folder
from emopipe.io.errors import UserError
from emopipe.io.outputs import write_bytes
from emopipe.parameters import Runtime
from emopipe.stage_file import outputs
from emopipe.training.checkpoints import HISTORY
from emopipe.training.devices import barrier
from emopipe.unfinished import ROOT as UNFINISHED

WHOLE = (HISTORY, "*.npy", "refitted/model.safetensors")  # what is written last of a piece of work
IN_USE = "in_use"  # a file of which every process of a training holds a shared lock
INTERVAL = 1.0  # seconds between two looks at the checkpoints


def train_on_cluster(module: str, runtime: Runtime) -> None:
    """Run a stage that trains on a cluster, and write its outputs here.

    Args:
        module: of the stage, as after ``python -m``
        runtime: the cluster, and how many processes train together

    Raises:
        UserError: where there is no cluster, or as the stage raises it there
    """
    ray = connect(runtime.address, "runtime.address")
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.util.queue import Queue

    stage = module.rpartition(".")[2]
    entry = stage_file.read()[stage]
    gpus = gpus_of_a_piece(ray, runtime.device != "cpu")
    on_head = {"num_cpus": 0, "resources": {"node:__internal_head__": 0.001}}
    board = ray.remote(**on_head)(_Board).remote()
    job = {
        "module": module,
        "outputs": outputs(entry),
        "queue": Queue(actor_options=on_head),
        "board": board,
        "run": f"{stage}-{time.time_ns()}",
    }
    receiver = _Receiver(job["queue"], board)
    for path in _files([parameters.PATH, *entry["deps"], UNFINISHED / stage]):
        receiver.publish(path, path.read_bytes())
    receiver.start()
    trainer = TorchTrainer(
        _worker,
        train_loop_config=job,
        scaling_config=ScalingConfig(
            num_workers=runtime.processes,
            use_gpu=bool(gpus),
            resources_per_worker={"CPU": runtime.threads, "GPU": gpus},
        ),
        run_config=RunConfig(
            name=job["run"], storage_path=tempfile.gettempdir(),
            failure_config=FailureConfig(max_failures=LOST_NODES),
        ),
    )  # fmt: skip
    tell_of_room(ray, runtime.processes, runtime.threads)
    trainer.fit()
    receiver.finish()
    shutil.rmtree(UNFINISHED / stage, ignore_errors=True)
    with suppress(OSError):  # another stage has something in it
        UNFINISHED.rmdir()


def _files(roots: Iterable[str | Path]) -> list[Path]:
    """Return the files that the roots name, or that lie below them."""
    found = []
    for root in map(Path, roots):
        found += [root] if root.is_file() else [path for path in root.rglob("*") if path.is_file()]
    return sorted(set(found))


class _Board:
    """Which files the processes need, of whichever try: names and where Ray holds their contents."""

    def __init__(self) -> None:
        self.files: dict[str, list[Any]] = {}

    def set(self, name: str, reference: list[Any]) -> None:
        """Add a file, or another content of it; in a list, so that the reference itself is kept."""
        self.files[name] = reference

    def remove(self, names: Iterable[str]) -> None:
        """Forget files."""
        for name in names:
            self.files.pop(name, None)

    def all(self) -> dict[str, list[Any]]:
        """Return the references by the names of the files."""
        return self.files


class _Receiver(Thread):
    """Writes here what the first process sends, and keeps it for processes that take over."""

    def __init__(self, queue: Any, board: Any) -> None:
        super().__init__(daemon=True)
        self.queue = queue
        self.board = board
        self.error: str | None = None

    def publish(self, path: Path, content: bytes) -> None:
        """Let every process have a file; this process owns its content, so that no node takes it along."""
        import ray

        ray.get(self.board.set.remote(path.as_posix(), [ray.put(content)]))

    def run(self) -> None:
        """Take what comes until the end."""
        while True:
            kind, name, content = self.queue.get()
            if kind == "end":
                return
            if kind == "error":
                self.error = name
            elif kind == "kept":
                self._remove_all_but(Path(name), content)
            else:
                write_bytes(content, Path(name))
                if Path(name).parts[0] == UNFINISHED.name:
                    self.publish(Path(name), content)

    def finish(self) -> None:
        """Wait for what is still on its way.

        Raises:
            UserError: as the stage raised it
        """
        self.queue.put(("end", "", b""))
        self.join()
        if self.error is not None:
            raise UserError(self.error)

    def _remove_all_but(self, folder: Path, kept: Sequence[str]) -> None:
        """Remove the checkpoints that a better or a later one has replaced."""
        for checkpoint in [path for path in folder.glob("checkpoint-*") if path.name not in kept]:
            self.board.remove.remote([path.as_posix() for path in checkpoint.rglob("*")])
            shutil.rmtree(checkpoint)


def _worker(job: Mapping[str, Any]) -> None:
    """Run the stage in a folder of the node's own, as one of the processes of the training."""
    from ray.train import get_context

    context, folder = get_context(), cache_folder() / "training" / job["run"]
    folder.mkdir(parents=True, exist_ok=True)
    in_use = (folder / IN_USE).open("wb")
    flock(in_use, LOCK_SH)  # until this process ends, however it does
    _remove_left(folder)
    there = _unpack(job["board"], folder)
    os.chdir(folder)
    first = context.get_world_rank() == 0
    sender = _Sender(job["queue"], there)
    if first:
        sender.start()
    try:
        runpy.run_module(job["module"], run_name="__main__")
    except SystemExit as error:  # told by run_stage; nothing that another node would do better
        if error.code and first:
            job["queue"].put(("error", str(error.code).removeprefix("error: "), b""))
    else:
        if first:
            sender.stop()
            for path in _files(job["outputs"]):
                job["queue"].put(("file", path.as_posix(), path.read_bytes()))
    barrier()
    os.chdir("/")
    shutil.rmtree(folder, ignore_errors=True)  # one process of the node does


def _remove_left(folder: Path) -> None:
    """Remove what trainings have left beside this one that were killed on this node."""
    for other in folder.parent.iterdir():
        with suppress(OSError), (other / IN_USE).open("rb") as file:  # in use, or removed meanwhile
            flock(file, LOCK_EX | LOCK_NB)
            shutil.rmtree(other)


def _unpack(board: Any, folder: Path) -> set[str]:
    """Write the files that the stage reads, but for those that are there; return the names of all."""
    import ray

    files = ray.get(board.all.remote())
    with FileLock(folder / "lock"):
        for name, (reference,) in files.items():
            target = folder / name
            if target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            content = ray.get(reference)
            if target == folder / parameters.PATH:
                values = yaml.safe_load(content)
                values["runtime"]["engine"] = "local"  # it is on the cluster already
                content = yaml.safe_dump(values, sort_keys=False).encode()
            write_bytes(content, target)
    return set(files)


class _Sender(Thread):
    """Sends what is whole of the unfinished work, once each."""

    def __init__(self, queue: Any, sent: set[str]) -> None:
        super().__init__(daemon=True)
        self.queue = queue
        self.sent = sent
        self.over = Event()

    def run(self) -> None:
        """Look for what is new, again and again."""
        while not self.over.wait(INTERVAL):
            for last in sorted(path for pattern in WHOLE for path in UNFINISHED.rglob(pattern)):
                if last.as_posix() not in self.sent:
                    self._send(last)

    def stop(self) -> None:
        """End, once what is being sent has been."""
        self.over.set()
        self.join()

    def _send(self, last: Path) -> None:
        """Send the file that makes a piece of work whole, behind those beside it."""
        beside = [path for path in last.parent.rglob("*") if path.is_file()] if last.name == HISTORY else []
        try:
            contents = {path: path.read_bytes() for path in [*(path for path in beside if path != last), last]}
        except FileNotFoundError:  # removed meanwhile for a better one
            return
        for path, content in contents.items():
            self.queue.put(("file", path.as_posix(), content))
        self.sent.add(last.as_posix())
        if last.name == HISTORY:
            folder = last.parent.parent
            kept = [path.parent.name for path in folder.glob(f"checkpoint-*/{HISTORY}")]
            self.queue.put(("kept", folder.as_posix(), kept))
