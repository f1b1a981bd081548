"""Arrays of float16 rows on disk, in NumPy's format: written and read a few rows at a time.

Neither memory nor the number of open files grows with what is read. Memory maps would count as the memory of the
process, and keep a file open each.
"""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from emopipe.io.errors import UserError

KIND = np.dtype(np.float16)
OPEN = 128  # files; a process may have 1024 on most systems


class RowWriter:
    """Writes an array of rows whose number is known only at the end."""

    def __init__(self, file: BinaryIO, shape: tuple[int, ...]) -> None:
        """Begin the array.

        Args:
            file: opened for writing
            shape: of one row
        """
        self.file = file
        self.shape = shape
        self.rows = 0
        self._header()

    def _header(self) -> None:
        # NumPy pads the header so that the first dimension may grow in place.
        header = {"descr": npy.dtype_to_descr(KIND), "fortran_order": False, "shape": (self.rows, *self.shape)}
        npy.write_array_header_1_0(self.file, header)

    def append(self, rows: np.ndarray, name: str) -> None:
        """Write rows.

        Args:
            rows: [rows, ...]
            name: of what they are, for the message

        Raises:
            UserError: if they do not fit float16
        """
        with np.errstate(over="ignore"):  # reported below
            halves = rows.astype(KIND)
        if not np.isfinite(halves).all():
            raise UserError(
                f"{name}: the encoder's output does not fit float16 (largest magnitude {np.abs(rows).max():.3g})"
            )
        self.file.write(halves.tobytes())
        self.rows += len(rows)

    def complete(self) -> None:
        """Write how many rows there are."""
        self.file.seek(0)
        self._header()


class RowReader:
    """Reads rows of several arrays on disk, all rows being of one shape."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Read the headers.

        Args:
            paths: of the arrays, one or more

        Raises:
            UserError: if one is no such array
        """
        self._paths = paths
        headers = [_header(path) for path in paths]
        self.shape = headers[0][0][1:]  # of one row
        self.lengths = [shape[0] for shape, _ in headers]  # rows of each array
        self._offsets = [offset for _, offset in headers]
        self._open: OrderedDict[int, FileIO] = OrderedDict()  # the one used last is the last
        weakref.finalize(self, _close, self._open)

    def read(self, number: int, first: int, rows: int) -> np.ndarray:
        """Return rows that lie side by side, float16 [rows, ...].

        Args:
            number: of the array, from 0
            first: of the rows
            rows: how many

        Raises:
            UserError: if the file ends before them
        """
        found = np.empty((rows, *self.shape), KIND)
        position = self._offsets[number] + first * found[:1].nbytes
        if os.preadv(self._file(number).fileno(), [found], position) != found.nbytes:
            raise UserError(f"{self._paths[number]}: cut short; run `dvc repro --force encode`")
        return found

    def _file(self, number: int) -> FileIO:
        file = self._open.pop(number, None) or FileIO(self._paths[number])
        self._open[number] = file
        if len(self._open) > OPEN:
            self._open.popitem(last=False)[1].close()
        return file


def _close(files: Mapping[int, FileIO]) -> None:
    for file in files.values():
        file.close()


def _header(path: Path) -> tuple[tuple[int, ...], int]:
    """Return the shape of an array and where in the file it begins."""
    with path.open("rb") as file:
        try:
            npy.read_magic(file)
            shape, by_columns, kind = npy.read_array_header_1_0(file)
        except ValueError as error:
            raise UserError(f"{path}: not an array: {error}; run `dvc repro --force encode`") from None
        if kind != KIND or by_columns:
            raise UserError(f"{path}: not an array of float16 rows; run `dvc repro --force encode`")
        return shape, file.tell()
