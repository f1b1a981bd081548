"""A publisher of corpora on this machine: an HTTP server that can be made to fail in every way a real one does."""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
import threading
import time
import zipfile
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import numpy as np

from emopipe.downloads.release import Archive, File, Files, Release
from helpers.local_server import Handler, Server

PIECE = 2048  # bytes sent at a time


@dataclass
class Faults:
    """What is wrong with the server."""

    deaths: list[int] = field(default_factory=list)  # it is killed when it has sent so many bytes
    down: float = 0.1  # seconds until it is started again; negative: it is not
    ranges: bool = True  # it can go on from the middle
    length: bool = True  # it announces the size
    lie: dict[str, int] = field(default_factory=dict)  # announced size
    statuses: dict[str, list[int]] = field(default_factory=dict)  # answers in place of the file, one by one
    encoding: str = ""  # claimed Content-Encoding
    endless: bool = False
    pause: float = 0.0  # seconds after each piece
    gate: threading.Event | None = None  # nothing is sent before this is set


class Publisher(Server):
    """Serves ``files`` by path, and keeps a log."""

    def __init__(self, files: dict[str, bytes], **faults: object) -> None:
        self.files = files
        self.faults = Faults(**faults)
        self.asked: list[tuple[str, str, str]] = []  # path, Range, If-Range
        self.sent = 0
        self.died = 0
        self.dead = False
        self.open: set[socket.socket] = set()
        self.lock = threading.Lock()
        super().__init__(Answer)

    def process_request(self, request: socket.socket, client_address: object) -> None:
        self.open.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections break here by design."""

    def count(self, number: int) -> None:
        """Note bytes that were sent, and die when it is time."""
        with self.lock:
            if self.dead:
                raise ConnectionAbortedError
            self.sent += number
            if not self.faults.deaths or self.sent < self.faults.deaths[0]:
                return
            self.faults.deaths.pop(0)
            self.died += 1
            self.dead = True
        self.die()
        if self.faults.down >= 0:
            threading.Timer(self.faults.down, self.revive).start()
        raise ConnectionAbortedError

    def die(self) -> None:
        """Stop listening and break every connection, as the kernel does for a killed process."""
        self.dead = True
        self.shutdown()
        self.socket.close()
        for connection in list(self.open):
            with contextlib.suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
        self.open.clear()

    def revive(self) -> None:
        """Listen again, at the same port."""
        self.dead = False
        self.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()
        self.server_activate()
        self.start()


class Answer(Handler):
    """One request."""

    server: Publisher

    def do_GET(self) -> None:  # noqa: N802 - so the library names it
        path, faults = urlsplit(self.path).path.lstrip("/"), self.server.faults
        self.server.asked.append((path, self.headers.get("Range", ""), self.headers.get("If-Range", "")))
        if statuses := faults.statuses.get(path):
            self.send_error(statuses.pop(0))
            return
        content = self.server.files.get(path)
        if content is None:
            self.send_error(404)
            return
        etag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if not faults.ranges or self.headers.get("If-Range", etag) != etag:
            start = 0
        if start and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if faults.length and not faults.endless:
            self.send_header("Content-Length", str(faults.lie.get(path, len(content)) - start))
        else:
            self.send_header("Connection", "close")
        if faults.encoding:
            self.send_header("Content-Encoding", faults.encoding)
        self.send_header("ETag", etag)
        self.end_headers()
        self.body(content[start:])

    def body(self, content: bytes) -> None:
        if self.server.faults.gate:
            self.server.faults.gate.wait()
        while True:
            for at in range(0, len(content), PIECE):
                self.wfile.write(content[at : at + PIECE])
                self.server.count(len(content[at : at + PIECE]))
                time.sleep(self.server.faults.pause)
            if not self.server.faults.endless:
                return


def contents(names: tuple[str, ...], size: int = 600) -> dict[str, bytes]:
    """Return bytes that do not compress for each name, always the same."""
    noise = np.random.default_rng(1)
    return {name: noise.bytes(size) for name in names}


def packed(files: dict[str, bytes], below: str = "") -> bytes:
    """Return a zip file with these files, below a further folder."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(zipfile.ZipInfo(below + name), content)
    return buffer.getvalue()


def fingerprint(content: bytes) -> str:
    """Return the sha256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def of(files: dict[str, bytes], *sources: Archive | Files) -> Release:
    """Return the release of these files from these sources."""
    checksums = {name: fingerprint(content) for name, content in files.items()}
    return Release(checksums, sum(map(len, files.values())), sources)


def served(release: Release, files: dict[str, bytes], below: str = "") -> tuple[dict[str, bytes], Release]:
    """Return what a server has to serve for a release whose files hold other bytes, and that release.

    Its URLs are paths; sizes and checksums stand where they stood.
    """
    paths: dict[str, bytes] = {}

    def moved(file: File, content: bytes) -> File:
        urls = []
        for url in file.urls:
            path = urlsplit(url).path.lstrip("/")
            urls.append(path)
            paths[path] = content
        algorithm = file.checksum.partition(":")[0]
        checksum = f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}" if algorithm else ""
        return replace(file, urls=tuple(urls), checksum=checksum, size=file.size and len(content))

    sources = [
        Archive(moved(source.file, packed(files, below)))
        if isinstance(source, Archive)
        else Files(tuple(moved(file, files[file.name]) for file in source.files if file.name in files))
        for source in release.sources
    ]
    return paths, of(files, *sources)


def at(server: Publisher, release: Release) -> Release:
    """Return the release with the server's address before each path."""

    def moved(file: File) -> File:
        return replace(file, urls=tuple(f"{server.url}/{path}" for path in file.urls))

    sources = [
        Archive(moved(source.file)) if isinstance(source, Archive) else Files(tuple(map(moved, source.files)))
        for source in release.sources
    ]
    return replace(release, sources=tuple(sources))


FILES = contents(("wav/a.wav", "wav/b.wav", "wav/c.wav"), 20_000)
ONE = contents(("one.csv",), 50_000)


def archive(server: Publisher, path: str, limit: int = 10**6) -> Release:
    """Return the release of FILES in a zip file that is served at this path; its size and checksum are not known."""
    return of(FILES, Archive(File("c.zip", (f"{server.url}/{path}",), limit=limit)))


def single(server: Publisher, *paths: str, **changes: object) -> Release:
    """Return the release of ONE, which is served at these paths."""
    content = ONE["one.csv"]
    urls = tuple(f"{server.url}/{path}" for path in paths)
    file = File("one.csv", urls, size=len(content), checksum=f"sha256:{fingerprint(content)}")
    return of(ONE, Files((replace(file, **changes),)))
