"""Answer recordings and streams by HTTP and WebSocket.

    emopipe serve                                              # http://127.0.0.1:8000, for this machine alone
    curl -F file=@speech.wav 'http://127.0.0.1:8000/v1/predict?segments=speech'
    EMOPIPE_TOKEN=... emopipe serve --host 0.0.0.0             # for whoever knows the token

`POST /v1/predict` takes a recording, as the body or as the field `file` of a form, and the options of `emopipe predict`
as a query; the rows of the answer are those of that command. `WS /v1/stream` takes samples of 16 bit, and sends the
rows of `emopipe listen`. `GET /health` tells the model and how busy it is, `GET /openapi.json` describes all of it, and
`GET /` is a page that does the same for a file or the microphone of a browser.

What is more than the limits is refused, as early as that is known: 413 for size, length and time, 429 where too many
ask at a time. Nothing that is sent is written to a disk or to the log. SIGTERM ends the service once all that it has
taken is answered; a second one at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path

from emopipe.io.errors import UserError

PACKAGES = ("starlette", "python_multipart", "uvicorn", "websockets")
TOKEN = "EMOPIPE_TOKEN"  # noqa: S105 - the name of a variable


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--model", default="models/audio", help="a folder or a repository of the Hugging Face hub")
    parser.add_argument("--revision", help="of the repository: a branch, a tag or a commit")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at; by default this machine hears "
        "alone, 0.0.0.0 is everybody")  # fmt: skip
    parser.add_argument("--port", type=int, default=8000, help="8000 by default; 0: any that is free")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="that holds the token which clients must send, "
        f"`Authorization: Bearer TOKEN`; or it stands in the environment, {TOKEN}")  # fmt: skip
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-bytes", type=int, default=25_000_000, metavar="BYTES", help="of a body; 25,000,000")
    limits.add_argument("--max-seconds", type=float, default=600, metavar="SECONDS", help="of a recording, and of the "
        "time that its answer may take; 600")  # fmt: skip
    limits.add_argument("--workers", type=int, metavar="NUMBER", help="recordings that are answered at a time; by "
        "default as many as PyTorch uses threads")  # fmt: skip
    limits.add_argument("--queue", type=int, default=64, metavar="NUMBER", help="recordings that wait for that; 64")
    limits.add_argument("--streams", type=int, default=8, metavar="NUMBER", help="at a time; 8")


def run(arguments: argparse.Namespace) -> None:
    """Serve until the process is told to end.

    Raises:
        UserError: if the model or a package is not there, or it cannot listen
    """
    if missing := [name.replace("_", "-") for name in PACKAGES if not find_spec(name)]:
        raise UserError(f"no package {missing[0]}, for a service; `pip install 'emopipe[serve]'`")
    if not hasattr(os, "memfd_create"):
        raise UserError("emopipe serve keeps what it is sent in memory files, which Linux alone has; run it there")
    token = _token(arguments.token_file)
    import torch

    from emopipe.recognition.speech import Recognizer
    from emopipe.serving.limits import Limits
    from emopipe.serving.server import address, listening, run
    from emopipe.serving.service import Service

    workers = torch.get_num_threads() if arguments.workers is None else arguments.workers
    limits = Limits(arguments.max_bytes, arguments.max_seconds, workers, arguments.queue, arguments.streams)
    torch.set_num_threads(1)  # of each worker, as in `emopipe predict`
    with listening(arguments.host, arguments.port) as listener:
        recognizer = Recognizer.load(arguments.model, arguments.revision, arguments.device)
        service = Service(recognizer, "/".join(Path(arguments.model).parts[-2:]), limits, token)
        if token is None and not ip_address(listener.getsockname()[0]).is_loopback:
            print(f"no token: whoever reaches this machine may ask; set {TOKEN} to prevent that", file=sys.stderr)
        print(f"{address(listener)}: ready", file=sys.stderr, flush=True)
        run(service, listener)


def _token(file: Path | None) -> str | None:
    """Return the token that clients must send; None if there is none.

    Raises:
        UserError: if it cannot be read, or no client could send it
    """
    if file is None:
        token, where = os.environ.get(TOKEN), TOKEN
    else:
        where = f"--token-file: {file}"
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{where}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if token is not None and not (token and token.isascii() and token.isprintable() and " " not in token):
        raise UserError(f"{where}: a token is one word of letters, digits and signs; `openssl rand -hex 32` makes one")
    return token
