"""ONNX Runtime for browsers is fetched by npm, and used only if it is the published one."""

from __future__ import annotations

import base64
import hashlib
import io
import stat
import tarfile

import pytest

from emopipe.io.errors import UserError
from emopipe.page import runtime


def archive(content: bytes = b"code") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as members:
        for name in (*runtime.FILES, "other.js"):
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            members.addfile(member, io.BytesIO(content))
    return target.getvalue()


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Return a function that puts a program in the place of npm, which is run in an empty cache."""
    monkeypatch.setenv("EMOPIPE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()

    def put(script: str) -> None:
        program = tmp_path / "bin/npm"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)

    return put


def known(monkeypatch, content: bytes) -> None:
    monkeypatch.setattr(runtime, "SHA512", base64.b64encode(hashlib.sha512(content).digest()).decode())


def test_it_is_fetched_once(npm, monkeypatch, tmp_path):
    content = archive()
    known(monkeypatch, content)
    (tmp_path / "made.tgz").write_bytes(content)
    npm(f'/bin/cat {tmp_path}/made.tgz > "$5/onnxruntime-web-{runtime.VERSION}.tgz"; echo "$@" >> {tmp_path}/calls')
    assert runtime.read() == runtime.read() == dict.fromkeys(runtime.FILES, b"code")
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.startswith(f"pack onnxruntime-web@{runtime.VERSION} --silent --pack-destination ")


def test_another_one_is_refused(npm, monkeypatch, tmp_path):
    known(monkeypatch, archive())
    (tmp_path / "made.tgz").write_bytes(archive(b"other"))
    npm(f'/bin/cat {tmp_path}/made.tgz > "$5/onnxruntime-web-{runtime.VERSION}.tgz"')
    with pytest.raises(UserError, match=r"not the published onnxruntime-web .*; remove it, and run again"):
        runtime.read()


def test_without_npm_it_is_told_how_to_go_on(npm):
    with pytest.raises(UserError, match=r"no npm, which fetches .*; install Node.js, or put .*tgz into"):
        runtime.read()


def test_what_npm_says_is_told(npm):
    npm("echo no such registry >&2; exit 7")
    with pytest.raises(UserError, match=r"npm cannot fetch .*: no such registry; check the connection, or put"):
        runtime.read()
