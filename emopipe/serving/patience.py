"""For how long clients are waited for: some seconds, and not at all once the service shuts down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Patience:
    """All that waits for a client, so that it can be ended together."""

    def __init__(self) -> None:
        self.closing = False
        self._waits: set[asyncio.Timeout] = set()

    @asynccontextmanager
    async def __call__(self, seconds: float) -> AsyncIterator[None]:
        """Let what is within wait.

        Raises:
            TimeoutError: if it takes longer, or the service shuts down
        """
        async with asyncio.timeout(0 if self.closing else seconds) as wait:
            self._waits.add(wait)
            try:
                yield
            finally:
                self._waits.discard(wait)

    def end(self) -> None:
        """End all that waits, now and later."""
        self.closing = True
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(asyncio.get_running_loop().time())
