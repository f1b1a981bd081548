"""Files that a stage leaves: each is there whole, or not at all."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from emopipe.io.errors import UserError, describe_fault


@contextmanager
def reporting_faults(path: Path) -> Iterator[None]:
    """Say what it was that could not be written, or read for it, where the block fails for a fault of the system.

    Raises:
        UserError: saying why and what to do
    """
    try:
        yield
    except Exception as error:
        told = describe_fault(error, path)
        if told is None:
            raise
        raise UserError(told) from error


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a file to write to, which takes the place of ``path`` in one step when the block ends well.

    Until then ``path`` is what it was: a run that fails, is killed, or meets another run leaves no half of a file for
    the next stage to take for a whole one. Its folder is made.

    Raises:
        UserError: if it cannot be written, saying why and what to do
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with reporting_faults(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):  # of a run that was killed
                left.unlink(missing_ok=True)
            part.touch()
            mode = part.stat().st_mode  # as everybody's files have it; safetensors gives its own to their owner alone
            yield part
            if not part.exists():
                raise UserError(f"{path}: another run has written it meanwhile; let one run at a time do so")
            part.chmod(mode)
            part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_text(text: str, path: Path) -> None:
    """Write a text in UTF-8; see :func:`atomic_write`."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(content: Any, path: Path) -> None:
    """Write what JSON can hold, indented; NaN is none of it. See :func:`atomic_write`."""
    write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", path)
