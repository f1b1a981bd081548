"""Checkpoints of a training: a killed one goes on where it stopped, and ends in the same bytes.

A checkpoint is a folder of the Trainer's (weights, optimiser, schedule, random numbers), made after every epoch. It
counts once ``history.json`` stands in it, which is written last and in one step: a run that is killed while it
writes goes on from the checkpoint before. Of the others, the best epoch's weights are kept. They lie in the folder of
the unfinished stage (:mod:`emopipe.io.unfinished`).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from emopipe.io.outputs import write_text

HISTORY = "history.json"

History = list[dict[str, float]]


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
