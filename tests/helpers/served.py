"""A service in a process of its own."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path

import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from helpers.processes import ALONE, start

TOKEN = "a-token-of-letters-7"  # noqa: S105 - of nobody


class Served:
    """A running service."""

    def __init__(self, model: Path, folder: Path, *words: object, token: str | None = TOKEN) -> None:
        """Start it, with an empty working folder and an empty one for temporary files."""
        self.places = folder / "here", folder / "temporary"
        for place in self.places:
            place.mkdir(parents=True)
        self._log = folder / "log"
        environment = ALONE | {"TMPDIR": str(self.places[1])} | ({"EMOPIPE_TOKEN": token} if token else {})
        options = ["--model", model, "--device", "cpu", "--port", 0, *words]
        with self._log.open("w") as log:
            command = [sys.executable, "-m", "emopipe", "serve", *map(str, options)]
            self.process = start(self.places[0], *command, environment=environment, stderr=log)
        deadline = time.monotonic() + 60
        while not self.log.endswith(": ready\n"):
            assert self.process.poll() is None and time.monotonic() < deadline, self.log
            time.sleep(0.05)
        self.url = self.log.splitlines()[-1].removesuffix(": ready")
        self.port = int(self.url.rpartition(":")[2])
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    @property
    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text()

    def predict(self, content: bytes | None, query: str = "", **others: object) -> requests.Response:
        """Post a recording as it is, or ``others``, which go to requests."""
        headers = self.headers | others.pop("headers", {})
        return requests.post(
            f"{self.url}/v1/predict?{query}", data=content, headers=headers, timeout=60, **others
        )  # fmt: skip

    def health(self) -> dict:
        """Return what it says about itself."""
        return requests.get(f"{self.url}/health", timeout=10).json()

    def stream(self, query: str = "", **others: object) -> ClientConnection:
        """Open a stream."""
        url = f"{self.url.replace('http', 'ws', 1)}/v1/stream?{query}"
        return connect(url, **{"additional_headers": self.headers, "max_size": None} | others)

    def end(self) -> None:
        """End it, if it has not ended."""
        self.process.kill()
        self.process.wait()


def received(stream: ClientConnection) -> list[dict]:
    """Return the rows of a stream, to its end, whatever the reason of that."""
    rows = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            rows.append(json.loads(stream.recv(timeout=60)))
    return rows
