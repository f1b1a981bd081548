"""Checkpoints: a killed training goes on where it stopped, and ends in the same bytes.

A checkpoint is a folder of the Trainer's (weights, optimiser, schedule, random numbers), made after every epoch. It
counts once ``history.json`` stands in it, which is written last and in one step: a run that is killed while it
writes goes on from the checkpoint before. Of the others, the best epoch's weights are kept.

Checkpoints of a stage lie in ``.checkpoints/STAGE/KEY``. The key is made of all that the training depends on:
parameters, data, and the stage's fingerprint (:mod:`emopipe.fingerprint`). A run with another key removes what it
finds.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from hashlib import file_digest, sha256
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel

from emopipe.fingerprint import Tree
from emopipe.io.errors import UserError
from emopipe.io.outputs import write_text
from emopipe.io.ranks import is_first
from emopipe.parameters import Runtime
from emopipe.training.devices import barrier

ROOT = Path(".checkpoints")
HISTORY = "history.json"
PATIENCE = 10  # seconds; a run whose parent was killed takes a moment to notice

History = list[dict[str, float]]


@contextmanager
def checkpoint_folder(
    stage: str, groups: Iterable[BaseModel], runtime: Runtime, files: Iterable[Path]
) -> Iterator[Path]:
    """Give the folder for the checkpoints of a stage's run; it is removed when all went well.

    Args:
        stage: its name
        groups: the parameters that it loads
        runtime: how it runs, on which the last bits depend
        files: the data that it reads
    """
    how = f"{runtime.device} {runtime.processes} {runtime.threads}"
    own = ROOT / stage / _key([Tree().fingerprint(stage), how, *(group.model_dump_json() for group in groups)], files)
    with _exclusive(stage) if is_first() else nullcontext():
        if is_first():
            for other in own.parent.glob("*"):
                if other != own:
                    shutil.rmtree(other)
            own.mkdir(parents=True, exist_ok=True)
        barrier()
        yield own
        barrier()
        if is_first():
            shutil.rmtree(own.parent)


@contextmanager
def _exclusive(stage: str) -> Iterator[None]:
    """Hold the lock of a stage: two runs of it would remove each other's checkpoints.

    Raises:
        UserError: if there is another run
    """
    ROOT.mkdir(exist_ok=True)
    lock = FileLock(ROOT / f"{stage}.lock")
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        raise UserError(
            f"{stage}: another run of it is under way in this folder; wait for its end, or stop it"
        ) from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink()
        lock.release()
        if not any(ROOT.iterdir()):
            ROOT.rmdir()


def _key(texts: Iterable[str], files: Iterable[Path]) -> str:
    digest = sha256()
    for text in texts:
        digest.update(text.encode() + b"\0")
    for path in files:
        with path.open("rb") as file:
            digest.update(path.name.encode() + b"\0" + file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]


def mark_complete(checkpoint: Path, history: History) -> None:
    """Mark a checkpoint as whole, by the rows of all epochs up to it."""
    write_text(json.dumps(history), checkpoint / HISTORY)


def completed(folder: Path) -> list[Path]:
    """Return the checkpoints that are whole, in the order of their epochs."""
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{HISTORY}")]
    return sorted(whole, key=lambda path: len(history(path)))


def history(checkpoint: Path) -> History:
    """Return the rows of all epochs up to a checkpoint."""
    return json.loads((checkpoint / HISTORY).read_text(encoding="utf-8"))


def remove_all_but(folder: Path, kept: Iterable[Path]) -> None:
    """Remove the other checkpoints, none of which counts from the first moment on."""
    for path in set(folder.glob("checkpoint-*")) - set(kept):
        (path / HISTORY).unlink(missing_ok=True)
        shutil.rmtree(path)
