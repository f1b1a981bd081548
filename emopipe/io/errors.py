"""Errors that a user can act on, and how a stage reports them."""

from __future__ import annotations

import errno
import gc
import io
import os
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from emopipe.io.orphans import exit_with_parent
from emopipe.io.ranks import forget_leftovers, is_first

# What to do about an error of the system, by its number.
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
# Libraries report such errors in messages of their own: those in Rust (safetensors, tokenizers) give the number,
# PyTorch and NumPy that less was written than wanted; SQLite holds DVC's state.
NUMBERED = re.compile(r"\(os error (\d+)\)")
SHORT = re.compile(r"PytorchStreamWriter|unexpected pos \d+|\d+ requested and \d+ written|disk I/O error|disk is full")

OUTPUTS = ("data", "models", "metrics")  # the folders that stages write to
PATIENCE = 10.0  # seconds that the first of several processes has to report an error, before another one does


class UserError(Exception):
    """An error that the user can fix: in a parameter, a file, a folder, or missing weights.

    The message names the place, what is wrong with it, and what to do.
    """


def run_stage(stage: Callable[[], None]) -> None:
    """Run a stage; a :class:`UserError` or a system error (a full disk) is reported without a traceback.

    Of several processes of one training the first one reports what all have met. A stage that DVC or torchrun started
    ends when they end.
    """
    forget_leftovers()
    gc.freeze()  # what was imported stays; Accelerate looks for what does not, with every training
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be UTF-8
    if {"DVC_STAGE", "TORCHELASTIC_RUN_ID"} & set(os.environ):
        exit_with_parent()
    try:
        if "DVC_STAGE" in os.environ:
            _require_no_links()
        stage()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except UserError as error:
        _exit(str(error))
    except Exception as error:
        message = describe_fault(error, Path.cwd())
        if message is None:
            raise
        _exit(message)


def _require_no_links() -> None:
    """Check that DVC will find the stage's outputs in the repository: it follows links out of it, once all is done."""
    root = Path.cwd().resolve()
    for folder in map(Path, OUTPUTS):
        if folder.is_symlink() and root not in folder.resolve().parents:
            raise UserError(
                f"{folder}: a link to {folder.resolve()}, outside of the repository, where DVC takes no output; put "
                "the folder itself back, and keep what is large on the other disk: `dvc cache dir /big/cache` and "
                "`dvc config cache.type symlink`"
            )


def _exit(message: str) -> None:
    if not is_first():  # which meets the same error as a rule; torchrun ends this process when that one has told it
        time.sleep(PATIENCE)
    sys.exit(f"error: {message}")


def describe_fault(error: BaseException, path: Path) -> str | None:
    """Return a message about a file that the system could not read or write; None for an error of another kind.

    Args:
        error: as a library or the interpreter raised it
        path: the file being written, for errors that do not name one
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
    if isinstance(error, OSError):  # without a file name it is a connection's, unless a write failed
        return error.errno if error.errno in REMEDIES or error.filename is not None else _from_message(error)
    return _from_message(error)


def _from_message(error: BaseException) -> int | None:
    if found := NUMBERED.search(str(error)):
        return int(found[1])
    return errno.ENOSPC if SHORT.search(str(error)) else None
