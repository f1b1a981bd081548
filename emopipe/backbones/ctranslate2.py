"""Weights in CTranslate2's binary format, read as data: no code of that library runs.

Little-endian throughout: u32 format version, the model's name, u32 revision, u32 number of variables;
each variable is its name, u8 rank, u32 per dimension, u8 type, u32 length in bytes, the data; then u32
number of aliases, each a pair of names. A name is a u16 length, that many bytes, the last of them NUL.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from emopipe.io.errors import UserError

TYPES = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}


def read_variables(path: Path) -> dict[str, np.ndarray]:
    """Return every variable of a ``model.bin`` by name.

    Raises:
        UserError: if the file is cut short or is not in this format
    """
    cursor = _Cursor(path.read_bytes())
    try:
        cursor.number("I")  # format version
        cursor.name()
        cursor.number("I")  # revision of the model's definition
        return dict(cursor.variable() for _ in range(cursor.number("I")))
    except (struct.error, KeyError, UnicodeDecodeError, ValueError) as error:
        raise UserError(f"{path}: not a whole CTranslate2 model at byte {cursor.at}: {error}") from None


class _Cursor:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.at = 0

    def number(self, kind: str) -> int:
        (value,) = struct.unpack_from(f"<{kind}", self.content, self.at)
        self.at += struct.calcsize(kind)
        return value

    def take(self, length: int) -> bytes:
        taken = self.content[self.at : self.at + length]
        if len(taken) < length:
            raise ValueError(f"{length} bytes expected, {len(taken)} left")
        self.at += length
        return taken

    def name(self) -> str:
        return self.take(self.number("H"))[:-1].decode()

    def variable(self) -> tuple[str, np.ndarray]:
        name = self.name()
        shape = [self.number("I") for _ in range(self.number("B"))]
        kind = TYPES[self.number("B")]
        return name, np.frombuffer(self.take(self.number("I")), dtype=kind).reshape(shape)
