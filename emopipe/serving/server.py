"""The service at a port: uvicorn, patient with nobody, that finishes what it has begun when it is told to end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from types import FrameType
from typing import Any, TextIO

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from emopipe.io.errors import UserError
from emopipe.serving.limits import CONNECTIONS, HEAD, MESSAGE, UNREAD
from emopipe.serving.service import LOG, Service

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class _Connection(H11Protocol):
    """A connection that is closed if the head of a request does not come, or an answer is not read.

    uvicorn waits for both as long as the client likes.
    """

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, if there are not too many."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.write(BUSY)
            transport.close()
            return
        opened = transport.get_extra_info("socket")
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else a body waits 40 ms behind its head
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD * 1000))
        self._wait_for_head()

    def handle_events(self) -> None:
        """Do what the client asks."""
        super().handle_events()
        self._wait_for_head()

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(error)
        self._stop_waiting()

    def _wait_for_head(self) -> None:
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self.transport.get_protocol() is not self:  # but a stream's
            self._stop_waiting()
        elif self._patience is None:
            self._patience = self.loop.call_later(HEAD, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class _Server(Server):
    """Told to end, it answers what is there before it does; told again, it ends."""

    def __init__(self, config: Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._told = 0  # how often

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take note of a signal, at whatever place of the program it comes."""
        self._told += 1

    async def on_tick(self, counter: int) -> bool:
        """Return whether it is time to end; called ten times a second."""
        if self._told > 1:
            self._service.abandon()
            self.force_exit = True
            return True
        if self._told and not self._service.closing:
            self._service.close()
        return await super().on_tick(counter) or (self._service.closing and self._service.idle)


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: a name or an address of this machine
        port: 0: any that is free

    Raises:
        UserError: if it cannot be had
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=CONNECTIONS)
    except (OSError, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        raise UserError(f"--host {host} --port {port}: {reason}; choose another") from None


def address(listener: socket.socket) -> str:
    """Return where a socket listens, as an URL."""
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run(service: Service, listener: socket.socket) -> None:
    """Answer requests until the process is told to end (SIGTERM or SIGINT)."""
    handler = logging.StreamHandler(_own_stderr())
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.CRITICAL)  # it would tell queries
    settings: dict[str, Any] = {"loop": "asyncio", "http": _Connection, "ws": "websockets-sansio", "lifespan": "off"}
    settings |= {"ws_max_size": MESSAGE, "ws_per_message_deflate": False}
    settings |= {"ws_ping_interval": None}  # a stream that is fed faster than it is answered leaves pings unread
    settings |= {"log_config": None, "access_log": False, "proxy_headers": False, "server_header": False}
    config = Config(service, timeout_graceful_shutdown=round(HEAD), timeout_keep_alive=round(HEAD), **settings)
    server = _Server(config, service)
    server.run(sockets=[listener])


def _own_stderr() -> TextIO:
    """Return where to write the log; what libraries in C print is lost, for libmpg123 tells what is in a recording."""
    log = os.fdopen(os.dup(2), "w", buffering=1)
    with open(os.devnull, "w") as nothing:  # noqa: PTH123 - a device
        os.dup2(nothing.fileno(), 2)
    return log
