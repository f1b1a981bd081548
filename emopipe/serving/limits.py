"""How much the service takes at once, and for how long it waits."""

from __future__ import annotations

from dataclasses import dataclass

from emopipe.io.errors import UserError

CONNECTIONS = 400  # at a time; half of the 1024 files that a process may have open are left
BODIES = 4  # of the largest size, that are in memory at a time in sum

# A client that is slow keeps a connection, and no place in the queue.
HEAD = 10.0  # s until the head of a request is there
IDLE = 10.0  # s between two parts of a body
GRACE = 10.0  # s until a body must have come as fast as SLOWEST
SLOWEST = 16_384  # bytes/s, on average
UNREAD = 30.0  # s for which an answer may lie unread
QUIET = 30.0  # s without a message of a stream
LINGER = 2.0  # s for which a body is taken and thrown away after it was refused: a closed door loses the answer

MESSAGE = 1 << 18  # bytes of a message of a stream, 8 s of sound at 16 kHz
MESSAGES = 2  # of a stream that wait for the model
HOP = 0.1  # s; windows that follow closer are many answers to little sound


@dataclass(frozen=True)
class Limits:
    """What a request may be, and how many there may be."""

    bytes: int  # of a body
    seconds: float  # of a recording, and for the answer to it
    workers: int  # recordings that are answered at a time
    queue: int  # recordings that wait for that
    streams: int  # at a time

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UserError: naming the option of the command line
        """
        if not (self.bytes > 0 and self.seconds > 0):
            raise UserError("--max-bytes and --max-seconds: more than 0")
        if self.workers < 1 or self.queue < 0 or self.streams < 0:
            raise UserError("--workers: at least 1; --queue and --streams: at least 0")
