"""Checkpoints of a training: a killed one goes on where it stopped, and ends in the same bytes.

A checkpoint is a folder of the Trainer's (weights, optimiser, schedule, random numbers), made after every epoch. It
counts once ``history.json`` stands in it, which is written last and in one step: a run that is killed while it
writes goes on from the checkpoint before. Of the others, the best epoch's weights are kept. They lie in the folder of
the unfinished stage (:mod:`emopipe.unfinished`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path

from pydantic import BaseModel

from emopipe.io.outputs import write_text
from emopipe.io.ranks import is_first
from emopipe.parameters import Runtime
from emopipe.training.broadcast import share
from emopipe.training.devices import barrier
from emopipe.unfinished import ROOT, place, unfinished_folder

HISTORY = "history.json"

History = list[dict[str, float]]


@contextmanager
def checkpoint_folder(
    stage: str, groups: Sequence[BaseModel], runtime: Runtime, files: Sequence[Path], weights: str = ""
) -> Iterator[Path]:
    """Give each of the processes of a stage the folder for its checkpoints, with what the first one has there.

    See :func:`emopipe.unfinished.unfinished_folder`.
    """
    what = (stage, groups, runtime, files, weights)
    with unfinished_folder(*what) if is_first() else nullcontext(place(*what)) as own:
        share(own)
        yield own
        barrier()
    barrier()  # the first process has removed its own
    if not is_first():  # on another disk, perhaps
        shutil.rmtree(own.parent, ignore_errors=True)
        with suppress(OSError):
            ROOT.rmdir()


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
