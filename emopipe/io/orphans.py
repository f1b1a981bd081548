"""Processes that end with the one that started them."""

from __future__ import annotations

import os
import signal
import time
from threading import Thread

LOOKS = 0.5  # seconds from one look to the next


def exit_with_parent() -> None:
    """Let this process end soon after the one that started it, however that one ended.

    A process that is killed can tell nobody. What it had started would go on: to write into outputs that the next run
    makes anew, or to wait for work for ever.
    """
    Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def begin_as_worker() -> None:
    """Let this process end with its parent, and leave it to the parent what to do when the user types Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    exit_with_parent()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOKS)
    os._exit(1)  # at once: whatever is being written does not count yet
