"""Recordings that clients send, in memory: nothing of them is written to a disk."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Self

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from emopipe.recordings.containers import LOCAL, installed
from emopipe.recordings.kinds import Kind, kind_of
from emopipe.recordings.reading import RejectedError, open_audio
from emopipe.serving.limits import BODIES, GRACE, IDLE, SLOWEST, Limits
from emopipe.serving.patience import Patience
from emopipe.serving.pool import CLOSING

FORM = "multipart/form-data"
FILE = "file"  # the field of a form that holds the recording
KINDS = ("audio/*", "video/*", "application/ogg", "application/mp4", "application/octet-stream")
UNNAMED = "recording"  # what messages call one whose name was not sent
FIELDS = 32  # of a form
TEXT = 1024  # bytes of one

Chunks = AsyncGenerator[bytes, None]

_versions = count(1)


class _Named(type(Path())):
    """The path of a file in memory; its name is that which the client gave it, and stands in messages alone."""

    called = ""

    @property
    def name(self) -> str:
        """Return the name that messages tell."""
        return self.called or super().name


class Upload:
    """A recording in memory that decoders open like any file, by a path of this process (Linux)."""

    def __init__(self) -> None:
        """Make an empty one.

        Raises:
            OSError: if too many files are open
        """
        self._file = open(os.memfd_create("recording"), "w+b")  # noqa: PTH123, SIM115 - a file without a path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    async def fill(self, request: Request, chunks: Chunks) -> tuple[Path, list[tuple[str, str]]]:
        """Take the body of a request: a recording, or a form that holds one.

        Args:
            request: whose kind of body :class:`Bodies` has seen
            chunks: the body

        Returns:
            a path that is good until this is closed, and the other fields of the form

        Raises:
            HTTPException: 400 if a form cannot be read, or holds no recording
        """
        if _media_type(request) != FORM:
            async for chunk in chunks:
                self._file.write(chunk)
            return self._path(UNNAMED), []
        parser = MultiPartParser(request.headers, chunks, max_files=1, max_fields=FIELDS, max_part_size=TEXT)
        parser.spool_max_size = 0  # bytes from which a file goes to the disk: never
        try:
            form = await parser.parse()
        except MultiPartException as error:
            raise HTTPException(400, f"{FORM}: {error.message}") from None
        except ValueError:  # of an encoding that is none
            raise HTTPException(400, f"{FORM}: cannot be read") from None
        file = form.get(FILE)
        fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        if not isinstance(file, UploadFile):
            raise HTTPException(400, f"{FORM}: no file in the field {FILE}; `curl -F {FILE}=@speech.wav` makes one")
        with file.file as content:
            shutil.copyfileobj(content, self._file)
        return self._path(Path(file.filename or "").name or UNNAMED), fields

    def _path(self, name: str) -> Path:
        self._file.flush()
        version = next(_versions)  # tells it from an earlier one of the same number, whose length is remembered
        os.utime(self._file.fileno(), ns=(version, version))
        path = _Named(f"/proc/self/fd/{self._file.fileno()}")
        path.called = name
        return path


class Bodies:
    """The bodies of requests: how large one may be, how large all are together, and how slowly they may come."""

    def __init__(self, limits: Limits, patience: Patience) -> None:
        self._limits = limits
        self._patience = patience
        self._held = 0  # bytes

    @asynccontextmanager
    async def taken(self, request: Request) -> AsyncIterator[tuple[Path, list[tuple[str, str]]]]:
        """Take the body of a request for as long as it is needed.

        Yields:
            a path of the recording, and the other fields of a form

        Raises:
            HTTPException: 415 for what is said to be no sound, 413 for a body that is too large, as soon as that is
                known; 408 for one that comes too slowly; 429 if there is no room, 503 while the service shuts down
            ClientDisconnect: if the client is gone
        """
        _require_kind(request)
        self._require_size(int(request.headers.get("content-length", 0)))
        received = 0

        async def chunks() -> Chunks:
            nonlocal received
            began = time.monotonic()
            more = True
            while more:
                left = began + GRACE + received / SLOWEST - time.monotonic()
                try:
                    async with self._patience(min(IDLE, left)):
                        message = await request.receive()
                except TimeoutError:
                    if self._patience.closing:
                        raise HTTPException(503, CLOSING, {"Retry-After": f"{GRACE:g}"}) from None
                    raise HTTPException(408, f"the body comes too slowly, {received:,} bytes so far") from None
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                part, more = message.get("body", b""), message.get("more_body", False)
                received += len(part)
                self._held += len(part)
                self._require_size(received)
                if self._held > BODIES * self._limits.bytes:
                    raise HTTPException(429, "too much is being sent; try again later", {"Retry-After": f"{GRACE:g}"})
                yield part

        try:
            with Upload() as upload:
                yield await upload.fill(request, chunks())
        finally:
            self._held -= received

    def _require_size(self, size: int) -> None:
        if size > self._limits.bytes:
            raise HTTPException(413, f"a body of more than {self._limits.bytes:,} bytes")


def _media_type(request: Request) -> str:
    """Return what a body is said to be, in lower case; empty if that is not said."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _require_kind(request: Request) -> None:
    """Check what a body is said to be.

    Raises:
        HTTPException: 415 if that is no sound
    """
    said = _media_type(request)
    if said and said != FORM and said not in KINDS and f"{said.partition('/')[0]}/*" not in KINDS:
        raise HTTPException(415, f"Content-Type {said}: no sound; it takes {', '.join(KINDS)}, or {FORM}")


def is_longer(path: Path, seconds: float) -> bool:
    """Return whether a recording is longer than that; of one that cannot be opened, not.

    Headers are believed where no more is decoded than they tell. What FFmpeg reads is decoded until it is too long:
    opening it decodes all of it, and a few megabytes may hold days of silence.
    """
    kind = kind_of(path)
    if kind and kind.demuxer and installed() and _decodes_beyond(path, kind, seconds):
        return True
    try:
        with open_audio(path) as file:
            return file.frames > seconds * file.samplerate
    except RejectedError:
        return False


def _decodes_beyond(path: Path, kind: Kind, seconds: float) -> bool:
    import av  # optional

    found = 0.0
    with (
        suppress(av.FFmpegError, OSError, IndexError),  # who opens it next will say so
        av.open(f"file:{path}", format=kind.demuxer, options=LOCAL, metadata_errors="ignore") as file,
    ):
        for stream in file.streams.audio[:1]:
            for frame in file.decode(stream):
                found += frame.samples / frame.sample_rate
                if found > seconds:
                    return True
    return False
