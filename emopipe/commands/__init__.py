"""The commands of ``emopipe``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from emopipe.io.errors import UserError


def try_each(names: Sequence[str], action: Callable[[str], None], failure: str) -> None:
    """Do something with every name; what is wrong with one is printed, and the others still have their turn.

    Args:
        names: that the user gave
        action: what to do with one
        failure: what it means that some failed, as in "2 of 3 corpora cannot be read"

    Raises:
        UserError: at the end, if any failed
    """
    failed = 0
    for name in names:
        try:
            action(name)
        except UserError as error:
            failed += 1
            print(f"{name}\n  {error}", file=sys.stderr)
    if failed:
        raise UserError(f"{failed} of {len(names)} {failure}")
