"""Errors that a user can act on, and how a stage reports them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


class UserError(Exception):
    """Something outside the program is wrong: a parameter, a file, a folder, missing weights.

    The message names the thing, says what is wrong with it and what to do.
    """


def run(stage: Callable[[], None]) -> None:
    """Run a stage; a :class:`UserError` becomes its message alone, without a traceback.

    Of processes that work together the first one says it.
    """
    try:
        stage()
    except UserError as error:
        sys.exit(f"error: {error}" if os.environ.get("RANK", "0") == "0" else 1)
