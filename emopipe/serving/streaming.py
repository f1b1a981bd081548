"""Streams of sound: samples in as they are spoken, and every segment out as soon as it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

import numpy as np
from starlette.exceptions import HTTPException
from starlette.websockets import WebSocket, WebSocketDisconnect

from emopipe.recognition.speech import Recognizer
from emopipe.serving.limits import MESSAGES, QUIET, UNREAD, Limits
from emopipe.serving.options import Settings
from emopipe.serving.patience import Patience
from emopipe.serving.pool import CLOSING, threads
from emopipe.serving.prediction import written

END = "end"  # the text that ends a stream
PROTOCOL = "emopipe"  # a browser that names its token in a subprotocol is left alone unless another one is accepted
# Why a stream is closed: RFC 6455, section 7.4.1, and the registry that it founds.
DONE, UNSUPPORTED, INVALID, POLICY, FAULT, RESTART = 1000, 1003, 1007, 1008, 1011, 1012

Feed = asyncio.Queue[bytes | WebSocketDisconnect | None]  # None: the sound has ended; the exception: nobody listens


class Streams:
    """Answers streams, each in a thread of its own, which mostly waits; more than there are threads are refused."""

    def __init__(self, recognizer: Recognizer, limits: Limits, patience: Patience) -> None:
        """Take a model.

        Args:
            recognizer: the model
            limits: of streams
            patience: for clients
        """
        self._recognizer = recognizer
        self._most = limits.streams
        self._patience = patience
        self._threads = threads(max(limits.streams, 1), "stream")
        self.running = 0

    async def answer(self, websocket: WebSocket, settings: Settings) -> None:
        """Answer a stream until it ends.

        Raises:
            HTTPException: 429 if there are too many already
        """
        if self.running >= self._most:
            raise HTTPException(429, f"{self.running} streams already; try again later", {"Retry-After": f"{QUIET:g}"})
        self.running += 1
        try:
            offered = websocket.scope.get("subprotocols", [])
            await websocket.accept(PROTOCOL if PROTOCOL in offered else None)
            await self._answer(websocket, settings)
        finally:
            self.running -= 1

    async def _answer(self, websocket: WebSocket, settings: Settings) -> None:
        loop, feed = asyncio.get_running_loop(), Feed(MESSAGES)
        reader = asyncio.create_task(self._read(websocket, feed))
        try:
            await loop.run_in_executor(self._threads, partial(self._speak, websocket, feed, settings, loop))
            await websocket.close(*await reader)
        except (WebSocketDisconnect, TimeoutError):
            pass  # nobody is there, or nobody reads
        except Exception:
            await websocket.close(FAULT, "a fault of the service")
            raise
        finally:
            reader.cancel()

    async def _read(self, websocket: WebSocket, feed: Feed) -> tuple[int, str]:
        """Pass the sound on until it ends, no faster than it is answered; return why it ended."""
        while True:
            try:
                async with self._patience(QUIET):
                    message = await websocket.receive()
            except TimeoutError:
                why = (RESTART, CLOSING) if self._patience.closing else (POLICY, f"no sound for {QUIET:g} s")
                break
            if message["type"] == "websocket.disconnect":
                await feed.put(WebSocketDisconnect())
                return DONE, ""
            samples = message.get("bytes")
            if samples is None:
                why = (DONE, "") if message["text"] == END else (UNSUPPORTED, f"a text other than {END}")
                break
            if len(samples) % 2:
                why = INVALID, f"{len(samples)} bytes are no whole samples of 16 bit"
                break
            await feed.put(samples)
        await feed.put(None)
        return why

    def _speak(self, websocket: WebSocket, feed: Feed, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        """Send the rows of a stream as they come; in a thread.

        Raises:
            WebSocketDisconnect: if the client is gone
            TimeoutError: if it does not read
        """

        def chunks() -> Iterator[np.ndarray]:
            while (part := asyncio.run_coroutine_threadsafe(feed.get(), loop).result()) is not None:
                if isinstance(part, WebSocketDisconnect):
                    raise part
                yield np.frombuffer(part, "<i2")

        for row in self._recognizer.stream(chunks(), settings.rate, settings.cutting):
            line = written([settings.abstain(row)], settings.columns, "jsonl").rstrip("\n")
            sending = asyncio.wait_for(websocket.send_text(line), UNREAD)
            asyncio.run_coroutine_threadsafe(sending, loop).result()
