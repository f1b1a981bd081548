"""Threads that answer recordings, and the queue before them: both of bounded length."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from starlette.exceptions import HTTPException

from emopipe.serving.limits import Limits

Result = TypeVar("Result")
Check = Callable[[], None]

CLOSING = "the service is shutting down"
WEIGHT = 0.1  # of the latest answer in the mean time of one


def threads(number: int, name: str) -> ThreadPoolExecutor:
    """Return threads within each of which PyTorch uses no others, as in `emopipe predict`."""
    return ThreadPoolExecutor(number, name, torch.set_num_threads, (1,))


class Pool:
    """Answers as many recordings at a time as there are threads; some wait in order, and more are turned away."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._threads = threads(limits.workers, "recording")
        self._free = asyncio.Semaphore(limits.workers)
        self._admitted = 0
        self._mean = 0.0  # s of an answer
        self._abandoned = False

    @property
    def waiting(self) -> int:
        """Return how many recordings wait for a thread."""
        return max(0, self._admitted - self._limits.workers)

    @property
    def running(self) -> int:
        """Return how many recordings are being answered."""
        return self._admitted - self.waiting

    def require_room(self) -> None:
        """Check that another recording may wait.

        Raises:
            HTTPException: 429, with the time after which there should be room
        """
        if self._admitted >= self._limits.workers + self._limits.queue:
            seconds = max(1, math.ceil(self._mean * (self.waiting + 1) / self._limits.workers))
            raise HTTPException(
                429, f"{self._admitted} recordings are being answered; try again later", {"Retry-After": f"{seconds}"}
            )

    async def run(self, work: Callable[[Check], Result]) -> Result:
        """Return what work gives, once there is a thread for it; cancelled, it ends when that looks up.

        Args:
            work: is given what it calls between its steps, which raises once nobody waits for it any more

        Raises:
            HTTPException: 429 if there is no room; 413 if it takes too long; what the work raises
        """
        self.require_room()
        self._admitted += 1
        try:
            async with self._free:
                return await self._run(work)
        finally:
            self._admitted -= 1

    async def _run(self, work: Callable[[Check], Result]) -> Result:
        gone, began = threading.Event(), time.monotonic()

        def check() -> None:
            if self._abandoned or gone.is_set():
                raise HTTPException(503, CLOSING)
            if time.monotonic() - began > self._limits.seconds:
                raise HTTPException(413, f"no answer within {self._limits.seconds:g} s; send a shorter recording")

        future = asyncio.get_running_loop().run_in_executor(self._threads, work, check)
        try:
            result = await asyncio.shield(future)
        except asyncio.CancelledError:
            gone.set()
            await asyncio.wait({future})
            future.exception()  # nobody else will ask
            raise
        taken = time.monotonic() - began
        self._mean = taken if not self._mean else (1 - WEIGHT) * self._mean + WEIGHT * taken
        return result

    def abandon(self) -> None:
        """Let work end at its next step."""
        self._abandoned = True
