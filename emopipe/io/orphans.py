"""Processes that end with the one that started them."""

from __future__ import annotations

import os
import signal
import time
from threading import Thread

INTERVAL = 0.5  # seconds between two checks


def exit_with_parent() -> None:
    """End this process soon after the one that started it, however that one ended.

    A process that is killed cannot stop its children. They would go on writing into outputs that the next run makes
    anew, or wait for work for ever.
    """
    Thread(target=_watch, args=(os.getppid(),), daemon=True).start()


def begin_as_worker() -> None:
    """End this process with its parent, and let the parent alone handle Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    exit_with_parent()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(INTERVAL)
    os._exit(1)  # at once: whatever is being written does not count yet
