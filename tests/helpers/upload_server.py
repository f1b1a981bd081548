"""A hub on this machine that takes a model as the Hugging Face hub does."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json

import pytest

from helpers.local_server import Handler, Server

REPOSITORY = "someone/speech-emotion"


class Hub(Server):
    """Takes uploads as the Hugging Face hub does: small files within the commit, weights to a storage beside it."""

    def __init__(self) -> None:
        self.status = 200  # of every answer
        self.tokens: set[str] = set()
        self.storage: dict[str, bytes] = {}  # by sha256
        self.commits: list[dict[str, bytes]] = []
        super().__init__(Answer)

    def take(self, lines: list[dict]) -> None:
        files = {}
        for line in lines:
            match line["key"], line["value"]:
                case "file", value:
                    files[value["path"]] = base64.b64decode(value["content"])
                case "lfsFile", value:
                    files[value["path"]] = self.storage[value["oid"]]
        self.commits.append(files)


class Answer(Handler):
    """One request."""

    server: Hub

    def do_POST(self) -> None:  # noqa: N802 - so the library names it
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.tokens.add(self.headers["Authorization"])
        refused = {"error": "Invalid username or password."}
        self.json(self.answer(body) if self.server.status == 200 else refused, self.server.status)

    def answer(self, body: bytes) -> dict:
        match self.path.strip("/").split("/"):
            case ["api", "repos", "create"]:
                return {"url": f"{self.server.url}/{REPOSITORY}"}
            case ["api", "validate-yaml"]:
                return {"errors": [], "warnings": []}
            case ["api", "models", _, _, "preupload", "main"]:
                modes = {"model.safetensors": "lfs"}
                names = [file["path"] for file in json.loads(body)["files"]]
                files = [{"path": n, "uploadMode": modes.get(n, "regular"), "shouldIgnore": False} for n in names]
                return {"files": files}
            case [_, _, "info", "lfs", "objects", "batch"]:
                objects = json.loads(body)["objects"]
                actions = {each["oid"]: {"upload": {"href": f"{self.server.url}/{each['oid']}"}} for each in objects}
                return {"objects": [each | {"actions": actions[each["oid"]]} for each in objects]}
            case ["api", "models", _, _, "commit", "main"]:
                self.server.take([json.loads(line) for line in body.splitlines()])
                return {"commitUrl": f"{self.server.url}/{REPOSITORY}/commit/{'1' * 40}", "commitOid": "1" * 40}
        raise AssertionError(self.path)

    def do_PUT(self) -> None:  # noqa: N802 - and this
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.storage[self.path.strip("/")] = content
        assert hashlib.sha256(content).hexdigest() == self.path.strip("/")
        self.json({}, self.server.status)


@contextlib.contextmanager
def online(folder, url, token="hf_secret"):  # noqa: S107 - of nobody
    """Be where `plot` runs, with a hub at ``url``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        constants = {"ENDPOINT": url, "HF_HUB_OFFLINE": False, "HF_TOKEN_PATH": str(folder / "token"),
                     "HF_HUB_DISABLE_XET": True}  # its protocol is more than a stand-in can speak  # fmt: skip
        for name, value in constants.items():
            patch.setattr(f"huggingface_hub.constants.{name}", value)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
            patch.delenv(name, raising=False)
        if token:
            patch.setenv("HF_TOKEN", token)
        patch.setenv("no_proxy", "127.0.0.1")
        yield
