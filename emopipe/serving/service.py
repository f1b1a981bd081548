"""The service as an ASGI application: its ways in, who may use them, and what it says when it refuses.

Starlette and not FastAPI: a body is refused before it is read, and kept in memory, which FastAPI's declared parameters
do not allow; and what an answer holds depends on the model, so that its types could not describe it either.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
import mimetypes
import time
import traceback
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from emopipe.io.errors import UserError
from emopipe.page import facts, files
from emopipe.recognition.speech import Recognizer
from emopipe.serving.limits import GRACE, LINGER, Limits
from emopipe.serving.openapi import document
from emopipe.serving.options import Options
from emopipe.serving.patience import Patience
from emopipe.serving.pool import CLOSING, Pool
from emopipe.serving.prediction import Predictor, UnansweredError
from emopipe.serving.streaming import Streams
from emopipe.serving.uploads import Bodies

PREDICT, STREAM, HEALTH, OPENAPI = "/v1/predict", "/v1/stream", "/health", "/openapi.json"
LOG = logging.getLogger("emopipe.serving")
GONE = 499  # in the log: the client left before there was an answer
BEARER = "emopipe.token."  # the beginning of a subprotocol of a stream: behind it the token, in base64url
PRIVATE = {"Cache-Control": "no-store"}
PAGE = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "frame-ancestors 'none'",  # the rest stands in the page
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Problem(JSONResponse):
    """A refusal, as RFC 9457 has it."""

    media_type = "application/problem+json"

    def __init__(
        self, status: int, detail: str, headers: dict[str, str] | None = None, further: dict[str, Any] | None = None
    ) -> None:
        content = {"status": status, "title": HTTPStatus(status).phrase, "detail": detail}
        super().__init__(content | (further or {}), status, PRIVATE | (headers or {}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; of a body that is on its way some is thrown away, for a client that is still sending reads nothing.

        Without that the system would reset the connection, and the answer would be lost with it.
        """
        if scope["type"] != "http" or scope.get("whole"):
            await super().__call__(scope, receive, send)
            return
        self.headers["Connection"] = "close"
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while (await receive()).get("more_body", False):
                    pass
        await send({"type": "http.response.body", "body": b""})


class Service:
    """The application."""

    def __init__(self, recognizer: Recognizer, name: str, limits: Limits, token: str | None = None) -> None:
        """Take a model.

        Args:
            recognizer: the model
            name: that clients are told
            limits: of what they may ask
            token: that they must name; None: anybody may ask
        """
        self._token = token
        self._patience = Patience()
        self._pool = Pool(limits)
        self._predictor = Predictor(recognizer, name, limits)
        self._streams = Streams(recognizer, limits, self._patience)
        self._options, self._stream_options = Options(recognizer, stream=False), Options(recognizer, stream=True)
        self._bodies = Bodies(limits, self._patience)
        self._active = 0  # requests and streams
        self._openapi = document(
            {PREDICT: self._options, STREAM: self._stream_options}, self._predictor, limits, secured=token is not None
        )
        about = facts.describe(recognizer)
        about |= {"engine": "service", "token": token is not None, "max_upload": limits.bytes}
        self._page = files.read() | {facts.NAME: json.dumps(about).encode()}
        self._application = Starlette(
            routes=[
                Route(PREDICT, self._predict, methods=["POST"]),
                WebSocketRoute(STREAM, self._stream),
                Route(HEALTH, self._health),
                Route(OPENAPI, self._document),
                *(Route(f"/{name}", self._page_file) for name in ("", *self._page)),
            ],
            exception_handlers={
                HTTPException: _refused,
                UserError: _mistaken,
                UnansweredError: _unanswered,
                ClientDisconnect: _gone,
                Exception: _failed,
            },
        )
        self._application.router.redirect_slashes = False

    @property
    def idle(self) -> bool:
        """Return whether nothing is being answered."""
        return self._active == 0

    @property
    def closing(self) -> bool:
        """Return whether it takes nothing more."""
        return self._patience.closing

    def close(self) -> None:
        """Take nothing more: what is here whole is answered, and streams end as if the sound had."""
        self._patience.end()

    def abandon(self) -> None:
        """Let what is being answered end without an answer."""
        self._pool.abandon()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and write a line about it that tells nothing of what was sent."""
        began, status = time.monotonic(), GONE

        async def noted_receive() -> Message:
            message = await receive()
            scope["whole"] = not message.get("more_body", False)
            return message

        async def noted_send(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = HTTPStatus.SWITCHING_PROTOCOLS
            await send(message)

        self._active += 1
        try:
            await self._application(scope, noted_receive, noted_send)
        except Exception as error:  # was answered; its text may hold what was sent
            places = "".join(traceback.format_tb(error.__traceback__))
            LOG.error("a fault, %s:\n%s", type(error).__name__, places.rstrip())
        finally:
            self._active -= 1
            path = scope["path"]
            if path not in (PREDICT, STREAM, HEALTH, OPENAPI):
                path = "page" if _page_name(path) in self._page else "elsewhere"
            LOG.info("%s %d %.3f s", path, status, time.monotonic() - began)

    def _require_entry(self, connection: HTTPConnection) -> None:
        """Check that a client may come in.

        Raises:
            HTTPException: 401 without the token, 503 while the service shuts down
        """
        if self._token is not None:
            given = _token(connection)
            if given is None or not hmac.compare_digest(given.encode(), self._token.encode()):
                raise HTTPException(401, "Authorization: Bearer TOKEN is missing, or of another token",
                    {"WWW-Authenticate": "Bearer"})  # fmt: skip
        if self.closing:
            raise HTTPException(503, CLOSING, {"Retry-After": f"{GRACE:g}"})

    async def _predict(self, request: Request) -> Response:
        """Answer a recording."""
        self._require_entry(request)
        named = request.query_params.multi_items()
        settings = self._options(named)
        self._pool.require_room()
        async with self._bodies.taken(request) as (path, fields):
            if fields:
                settings = self._options([*named, *fields])
            answer = await _while_there(request, self._pool.run(partial(self._predictor, path, settings)))
        return Response(answer, media_type="application/json", headers=PRIVATE)

    async def _stream(self, websocket: WebSocket) -> None:
        """Answer a stream."""
        self._require_entry(websocket)
        await self._streams.answer(websocket, self._stream_options(websocket.query_params.multi_items()))

    async def _health(self, _: Request) -> Response:
        """Say which model answers, whether it takes recordings, and how many there are."""
        state = {
            "ready": not self.closing,
            "model": self._predictor.name,
            "labels": self._predictor.labels,
            "running": self._pool.running,
            "queue": self._pool.waiting,
            "streams": self._streams.running,
        }
        return JSONResponse(state, HTTPStatus.SERVICE_UNAVAILABLE if self.closing else HTTPStatus.OK, PRIVATE)

    async def _document(self, _: Request) -> Response:
        """Describe the service."""
        return JSONResponse(self._openapi)

    async def _page_file(self, request: Request) -> Response:
        """Give a file of the page."""
        name = _page_name(request.scope["path"])
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(self._page[name], media_type=kind, headers=PAGE)


def _page_name(path: str) -> str:
    return path.removeprefix("/") or "index.html"


def _token(connection: HTTPConnection) -> str | None:
    """Return the token that a client names: as a bearer of it or, where a browser opens a stream, as a subprotocol."""
    scheme, _, given = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return given.strip()
    for protocol in connection.scope.get("subprotocols", []):
        if protocol.startswith(BEARER):
            with suppress(ValueError):
                encoded = protocol.removeprefix(BEARER)
                return base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars="-_", validate=True).decode()
    return None


async def _while_there(request: Request, work: Coroutine[Any, Any, bytes]) -> bytes:
    """Return what work gives; it ends when the client leaves.

    Raises:
        ClientDisconnect: if it left
    """
    working, watching = asyncio.create_task(work), asyncio.create_task(request.receive())
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
        return await working
    except asyncio.CancelledError:
        raise ClientDisconnect from None
    finally:
        working.cancel()
        watching.cancel()


async def _refused(_: HTTPConnection, error: HTTPException) -> Response:
    return Problem(error.status_code, error.detail, dict(error.headers or {}))


async def _mistaken(_: HTTPConnection, error: UserError) -> Response:
    return Problem(400, str(error))


async def _unanswered(_: HTTPConnection, error: UnansweredError) -> Response:
    return Problem(422, str(error), further={"rows": error.rows})


async def _gone(_: HTTPConnection, __: ClientDisconnect) -> Response:
    return Response(status_code=GONE)  # nobody reads it


async def _failed(_: HTTPConnection, __: Exception) -> Response:
    return Problem(500, "a fault of the service")
