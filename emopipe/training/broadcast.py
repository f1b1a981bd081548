"""Files of the first process for those on other machines, which see another disk."""

from __future__ import annotations

import io
import json
import secrets
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

import torch
from torch import distributed

from emopipe.io.outputs import atomic_write
from emopipe.io.ranks import is_first, rank, world_size
from emopipe.training.devices import barrier

RANDOM = "rng_state"  # with which the names of files begin that each process writes for itself
PIECE = 1 << 26  # bytes sent at a time


def share(folder: Path) -> None:
    """Give every machine what the first process has in a folder; nothing is sent to those that share its disk.

    What another machine has there is removed, but for the random states of its own processes.
    """
    if world_size() == 1:
        return
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    token = torch.tensor([secrets.randbits(62)], device=device)
    distributed.broadcast(token, 0)
    folder.mkdir(parents=True, exist_ok=True)
    mark = f".rank-{token.item()}-"
    own = folder / f"{mark}{rank()}"
    own.touch()
    barrier()
    # Of the processes that see a disk the first one writes to it.
    first_here = min(int(path.name.removeprefix(mark)) for path in folder.glob(f"{mark}*"))
    barrier()
    own.unlink()
    apart = torch.tensor([first_here], device=device)
    distributed.all_reduce(apart, distributed.ReduceOp.MAX)
    barrier()  # the marks are gone
    if not apart.item():
        return
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if is_first() else []
    table = json.dumps([[path.relative_to(folder).as_posix(), path.stat().st_size] for path in files]).encode()
    size = torch.tensor([len(table)], device=device)
    distributed.broadcast(size, 0)
    source = io.BytesIO(table) if is_first() else None
    entries = json.loads(b"".join(_sent(source, size.item(), device)))
    writes = first_here == rank() != 0
    if writes:
        for path in [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(RANDOM)]:
            path.unlink()
    for name, length in entries:
        target = folder / name
        with target.open("rb") if is_first() else nullcontext() as source:
            parts = _sent(source, length, device)
            if writes:
                with atomic_write(target) as part, part.open("wb") as file:
                    file.writelines(parts)
            else:
                deque(parts, maxlen=0)
    barrier()


def _sent(source: BinaryIO | None, length: int, device: str) -> Iterator[bytes]:
    """Yield, in every process, so many bytes that the first one reads."""
    for first in range(0, length, PIECE):
        size = min(PIECE, length - first)
        piece = torch.empty(size, dtype=torch.uint8)
        if source is not None:
            piece = torch.frombuffer(bytearray(source.read(size)), dtype=torch.uint8)
        piece = piece.to(device)
        distributed.broadcast(piece, 0)
        yield piece.cpu().numpy().tobytes()
