"""Errors that a user can act on, and how a stage reports them."""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from emopipe.io.orphans import exit_with_parent

# What the system says, and what is to be done about it.
REMEDIES = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room within your quota",
    errno.EFBIG: "raise the limit on the size of files (`ulimit -f`), or take a file system without one",
    errno.EROFS: "mount that file system for writing, or work elsewhere",
    errno.EACCES: "give yourself the right to it (`ls -l` shows whose it is)",
    errno.EPERM: "give yourself the right to it (`lsattr` shows whether it may be changed at all)",
    errno.EMFILE: "raise the limit on open files (`ulimit -n`)",
    errno.EIO: "look after that disk",
}
# Libraries write, too, and have words of their own: those in Rust (safetensors, tokenizers) give the system's number,
# PyTorch and NumPy that less was written than wanted; SQLite keeps DVC's state.
NUMBERED = re.compile(r"\(os error (\d+)\)")
SHORT = re.compile(r"PytorchStreamWriter|unexpected pos \d+|\d+ requested and \d+ written|disk I/O error|disk is full")


class UserError(Exception):
    """Something outside the program is wrong: a parameter, a file, a folder, missing weights.

    The message names the thing, says what is wrong with it and what to do.
    """


def run_stage(stage: Callable[[], None]) -> None:
    """Run a stage; a :class:`UserError` and a fault of the system become a message alone, without a traceback.

    Of processes that work together the first one says it. Where DVC or torchrun started the stage, it ends with them.
    """
    if {"DVC_STAGE", "TORCHELASTIC_RUN_ID"} & set(os.environ):
        exit_with_parent()
    try:
        stage()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except UserError as error:
        _leave(str(error))
    except Exception as error:
        told = describe_fault(error, Path.cwd())
        if told is None:
            raise
        _leave(told)


def _leave(message: str) -> None:
    sys.exit(f"error: {message}" if os.environ.get("RANK", "0") == "0" else 1)


def describe_fault(error: BaseException, path: Path) -> str | None:
    """Say which file the system would not read or write, why, and what to do; None where that is not what went wrong.

    Args:
        error: as a library or the interpreter raised it
        path: what was being written, for errors that do not say
    """
    number = _number(error)
    if number is None or isinstance(error, UserError):
        return None
    name = getattr(error, "filename", None) or path
    if str(name).endswith(".part"):  # the scratch file beside it; see outputs.atomic_write
        name = path
    remedy = f"{REMEDIES[number]}, then " if number in REMEDIES else ""
    return f"{name}: {os.strerror(number)}; {remedy}run again: what is finished is not repeated"


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError):  # one without a file is of a connection, if not of a write that failed
        return error.errno if error.errno in REMEDIES or error.filename is not None else _in_words(error)
    return _in_words(error)


def _in_words(error: BaseException) -> int | None:
    if found := NUMBERED.search(str(error)):
        return int(found[1])
    return errno.ENOSPC if SHORT.search(str(error)) else None
