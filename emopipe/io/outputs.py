"""Writing of output files, each of which is there complete or not at all."""

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
    """Turn a system error in the block into a UserError that names ``path``.

    Raises:
        UserError: with the reason and what to do
    """
    try:
        yield
    except Exception as error:
        message = describe_fault(error, path)
        if message is None:
            raise
        raise UserError(message) from error


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary file, which replaces ``path`` in one step when the block succeeds.

    Until then ``path`` stays as it is: a run that fails, is killed, or meets another run leaves no partial file that
    the next stage would take for a complete one. The folder is created.

    Raises:
        UserError: if it cannot be written, with the reason and what to do
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with reporting_faults(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):  # of a run that was killed
                left.unlink(missing_ok=True)
            part.touch()
            mode = part.stat().st_mode  # of any new file; safetensors restricts its files to their owner
            yield part
            if not part.exists():
                raise UserError(f"{path}: another run has written it meanwhile; let one run at a time do so")
            part.chmod(mode)
            part.replace(path)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def write_bytes(content: bytes, path: Path) -> None:
    """Write bytes; see :func:`atomic_write`."""
    with atomic_write(path) as part:
        part.write_bytes(content)


def write_text(text: str, path: Path) -> None:
    """Write a text in UTF-8; see :func:`atomic_write`."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(content: Any, path: Path) -> None:
    """Write JSON, indented; NaN is an error. See :func:`atomic_write`."""
    write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", path)
