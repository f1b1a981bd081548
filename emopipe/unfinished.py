"""What an unfinished stage has done: a killed run goes on from there, and ends in the same bytes.

It lies in ``.checkpoints/STAGE/KEY``. The key is made of all that the work depends on: parameters, data, and the
stage's fingerprint (:mod:`emopipe.fingerprint`). A run with another key removes what it finds.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel

from emopipe.fingerprint import Tree
from emopipe.io.errors import UserError
from emopipe.parameters import Runtime

ROOT = Path(".checkpoints")
PATIENCE = 10  # seconds; a run whose parent was killed takes a moment to notice


@contextmanager
def unfinished_folder(
    stage: str, groups: Iterable[BaseModel], runtime: Runtime, files: Iterable[Path], weights: str = ""
) -> Iterator[Path]:
    """Give the folder for what a stage's run has finished of its work; it is removed when all went well.

    Args:
        stage: its name
        groups: the parameters that it loads
        runtime: how it runs, on which the last bits depend
        files: the data that it reads
        weights: which ones it reads beside them
    """
    own = place(stage, groups, runtime, files, weights)
    with _exclusive(stage):
        for other in own.parent.glob("*"):
            if other != own:
                shutil.rmtree(other)
        own.mkdir(parents=True, exist_ok=True)
        yield own
        shutil.rmtree(own.parent)


def place(stage: str, groups: Iterable[BaseModel], runtime: Runtime, files: Iterable[Path], weights: str = "") -> Path:
    """Return where the folder of :func:`unfinished_folder` lies."""
    how = f"{runtime.device} {runtime.processes} {runtime.threads}"
    parameters = [group.model_dump_json() for group in groups]
    return ROOT / stage / _key([Tree().fingerprint(stage), how, weights, *parameters], files)


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
