"""A hub on this machine that gives out weights, as the Hugging Face hub and as ModelScope do."""

from __future__ import annotations

import hashlib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from helpers.local_server import Handler, Server

BESIDE = {
    "README.md": b"read",
    "requirements.txt": b"evil",
    "model.py": b"raise SystemExit",
    "example/test.wav": b"RIFF",
}
LARGE = (".safetensors", ".bin", ".pt")  # kept in LFS, which knows their sha256


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Hub(Server):
    """Answers as the Hugging Face hub and as ModelScope do; every repository holds the same files."""

    def __init__(self, folder: Path) -> None:
        self.files = BESIDE | {file.name: file.read_bytes() for file in folder.iterdir()}
        self.altered: dict[str, bytes] = {}  # what is sent in place of what is announced
        self.cut: int | None = None  # bytes of weights after which every connection breaks
        self.asked: list[str] = []
        self.sent: list[str] = []  # names of files
        super().__init__(Answer)

    @property
    def commit(self) -> str:
        return digest(b"".join(self.files.values()))[:40]


class Answer(Handler):
    """One request."""

    server: Hub

    def do_GET(self) -> None:  # noqa: N802 - so the library names it
        self.server.asked.append(self.path)
        parts, query = urlsplit(self.path).path.strip("/").split("/"), parse_qs(urlsplit(self.path).query)
        match parts:
            case ["api", "models", _, _] | ["api", "models", _, _, "revision", "main"]:
                self.json({"id": "/".join(parts[2:4]), "sha": self.server.commit, "siblings": []})
            case ["api", "models", _, _, "tree", self.server.commit]:
                self.json([self.entry(name) for name in self.server.files])
            case [_, _, "resolve", self.server.commit, *name]:
                self.resolve("/".join(name))
            case ["storage", _, name]:  # where LFS files lie
                self.content(name)
            case ["api", "v1", "models", _, _, "repo", "files"]:
                files = [
                    {"Path": name, "Type": "blob", "Size": len(content), "Sha256": digest(content)}
                    for name, content in self.server.files.items()
                ]
                self.json({"Code": 200, "Success": True, "Data": {"Files": files}})
            case ["api", "v1", "models", _, _, "repo"]:
                self.content(query["FilePath"][0])
            case _:
                self.send_error(404)

    do_HEAD = do_GET  # noqa: N815 - and this

    def entry(self, name: str) -> dict:
        content = self.server.files[name]
        entry = {"type": "file", "path": name, "size": len(content), "oid": digest(content)[:40]}
        if name.endswith(LARGE):
            entry["lfs"] = {"oid": digest(content), "size": len(content), "pointerSize": 130}
        return entry

    def resolve(self, name: str) -> None:
        content = self.server.files[name]
        headers = {"X-Repo-Commit": self.server.commit}
        if not name.endswith(LARGE):
            self.content(name, headers | {"ETag": f'"{digest(content)[:40]}"'})
            return
        self.send_response(302)
        linked = {"X-Linked-ETag": f'"{digest(content)}"', "X-Linked-Size": len(content)}
        where = {
            "Location": f"http://localhost:{self.server.server_port}/storage/{digest(content)}/{name}",
            "Content-Length": 0,
        }
        self.finish_headers(headers | linked | where)

    def content(self, name: str, headers: dict | None = None) -> None:
        content = self.server.altered.get(name, self.server.files[name])
        wanted = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")
        start, end = int(wanted[0]), int(wanted[1] or len(content) - 1) + 1
        self.send_response(206 if "Range" in self.headers else 200)
        ranges = {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}"} if "Range" in self.headers else {}
        self.finish_headers({**(headers or {}), **ranges, "Content-Length": end - start})
        if self.command == "HEAD":
            return
        self.server.sent.append(name)
        if self.server.cut is not None and name.endswith(LARGE):
            end = min(end, self.server.cut)
            self.close_connection = True
        self.wfile.write(content[start:end])

    def finish_headers(self, headers: dict) -> None:
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()
