"""What tests of downloads share: a cache that is empty, servers that end with the test, and processes that fetch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emopipe.corpora.catalogue import CORPORA
from emopipe.downloads import transfer
from helpers.paths import ROOT
from helpers.publisher import Publisher

RELEASES = {key: corpus.release() for key, corpus in CORPORA.items() if corpus.release}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Return a cache of the test's own; no wait between attempts is long."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("EMOPIPE_CACHE", str(folder))
    monkeypatch.setattr(transfer, "WAITS", (0.02,) * 100)
    monkeypatch.setattr(transfer, "CHUNK", 1024)  # what is lost with a connection, at most
    return folder


@pytest.fixture
def publish():
    """Return a function that starts a server."""
    servers = []

    def start(files, **faults):
        servers.append(Publisher(files, **faults))
        return servers[-1]

    yield start
    for server in servers:
        server.die()


def below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def start_client(server: Publisher, kind: str, before: str = "") -> subprocess.Popen:
    """Start another process that fetches what this one would, after some code of its own."""
    code = (
        "import sys\n"
        "from types import SimpleNamespace\n"
        "from helpers import publisher\n"
        "from emopipe.io.errors import run_stage\n"
        "from emopipe.downloads import transfer\n"
        "from emopipe.downloads.cache import fetch_corpus\n"
        "transfer.CHUNK = 1024\n"
        f"{before}\n"
        f"release = publisher.{kind}(SimpleNamespace(url=sys.argv[1]), 'a')\n"
        "run_stage(lambda: fetch_corpus('k', release))\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    command = [sys.executable, "-c", code, server.url]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
