"""The encoded store: what the frozen part of a backbone says of every utterance, computed once.

A folder with

- ``frames.npy``: float16, [frames of all utterances, dim], the input of the first trainable block (before an
  utterance's frames stand the backbone's extra tokens, if it has some);
- ``layers.npy``: float16, [utterances, 2, blocks + 1, dim], mean and standard deviation over the frames
  of every layer of the pretrained network;
- ``index.csv``: where the frames of an utterance stand, which may be there at several speeds;
- ``encoding.json``: which weights made it, and how it was cut.

It is written one utterance at a time and read through memory maps: memory does not grow with the corpus.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, BinaryIO, NamedTuple

import numpy as np
import pandas as pd
from numpy.lib import format as npy
from pydantic import Field

from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write, write_json
from emopipe.schemas import tables
from emopipe.schemas.manifest import Identifier
from emopipe.schemas.tables import Row

FOLDER = Path("data/encoded")
DESCRIPTION = "encoding.json"
KIND = np.dtype(np.float16)

ORIGINAL = 1.0  # speed


class Encoding(NamedTuple):
    """What the frozen part of a backbone says of an utterance at a speed."""

    utterance: str
    speed: float  # times that at which it was spoken
    frames: np.ndarray  # [frames, dim]
    statistics: np.ndarray  # [2, layers, dim]


class Entry(Row):
    """Where the frames of an utterance stand in ``frames.npy``."""

    utterance: Identifier
    speed: Annotated[float, Field(gt=0)]
    offset: Annotated[int, Field(ge=0)]
    frames: Annotated[int, Field(ge=1)]


class _Stream:
    """An ``.npy`` file of rows whose number is known only at the end."""

    def __init__(self, file: BinaryIO, shape: tuple[int, ...]) -> None:
        self.file = file
        self.shape = shape  # of one row
        self.rows = 0
        self._header()

    def _header(self) -> None:
        # NumPy pads the header so that the first dimension may grow in place.
        header = {"descr": npy.dtype_to_descr(KIND), "fortran_order": False, "shape": (self.rows, *self.shape)}
        npy.write_array_header_1_0(self.file, header)

    def append(self, rows: np.ndarray, name: str) -> None:
        with np.errstate(over="ignore"):  # said below, with a name
            halves = rows.astype(KIND)
        if not np.isfinite(halves).all():
            raise UserError(
                f"{name}: the encoder's output does not fit float16 (largest magnitude {np.abs(rows).max():.3g})"
            )
        self.file.write(halves.tobytes())
        self.rows += len(rows)

    def complete(self) -> None:
        self.file.seek(0)
        self._header()


def write(
    folder: Path,
    encodings: Iterable[Encoding],
    dim: int,
    layers: int,
    encoding: dict[str, Any],
) -> None:
    """Write a store, holding one utterance in memory at a time.

    Args:
        folder: made when absent
        encodings: of the utterances, in their order
        dim: width of a frame
        layers: number of layers the statistics cover
        encoding: provenance, for ``encoding.json``

    Raises:
        UserError: naming the utterance whose values do not fit float16
    """
    (folder / DESCRIPTION).unlink(missing_ok=True)  # without it there is no store; it is written last
    entries: list[dict[str, Any]] = []
    with (
        _stream(folder / "frames.npy", (dim,)) as frames,
        _stream(folder / "layers.npy", (2, layers, dim)) as statistics,
    ):
        for utterance, speed, clip, statistic in encodings:
            entries.append({"utterance": utterance, "speed": speed, "offset": frames.rows, "frames": len(clip)})
            frames.append(clip, utterance)
            statistics.append(statistic[None], utterance)
    tables.write(pd.DataFrame(entries, columns=list(Entry.model_fields)), folder / "index.csv", Entry)
    write_json(encoding, folder / DESCRIPTION)


@contextmanager
def _stream(path: Path, shape: tuple[int, ...]) -> Iterator[_Stream]:
    with atomic_write(path) as part, part.open("wb") as file:
        stream = _Stream(file, shape)
        yield stream
        stream.complete()


class Store:
    """A store opened for reading."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self.encoding: dict[str, Any] = _description(folder)
        self.index = tables.read(folder / "index.csv", Entry)
        self._layers = np.load(folder / "layers.npy", mmap_mode="r")
        keys = zip(self.index["utterance"], self.index["speed"], strict=True)
        self._rows = {key: row for row, key in enumerate(keys)}
        self._offsets, self._lengths = (self.index[name].to_numpy() for name in ("offset", "frames"))

    @property
    def files(self) -> list[Path]:
        """Return the files by which its content can be told; the frames are those that the statistics are of."""
        return [self.folder / name for name in (DESCRIPTION, "index.csv", "layers.npy")]

    def __iter__(self) -> Iterator[Encoding]:
        """Go through the utterances in their order."""
        return (Encoding(*key, self.frames(*key), self.statistics(*key)) for key in self._rows)

    @cached_property
    def _frames(self) -> np.ndarray:
        return np.load(self.folder / "frames.npy", mmap_mode="r")  # opened when the first is asked for

    @property
    def dim(self) -> int:
        """Width of a frame."""
        return self._layers.shape[3]

    @property
    def layers(self) -> int:
        """Number of layers the statistics cover: the backbone's blocks, and their input."""
        return self._layers.shape[2]

    @property
    def speeds(self) -> list[float]:
        """Speeds at which every utterance is there, the one at which it was spoken first."""
        return [ORIGINAL, *(speed for speed in self.index["speed"].unique().tolist() if speed != ORIGINAL)]

    def frames(self, utterance: str, speed: float = ORIGINAL) -> np.ndarray:
        """Return the frames of an utterance, float32 [frames, dim]."""
        row = self._row(utterance, speed)
        return self._frames[self._offsets[row] : self._offsets[row] + self._lengths[row]].astype(np.float32)

    def length(self, utterance: str, speed: float = ORIGINAL) -> int:
        """Return how many frames an utterance has."""
        return int(self._lengths[self._row(utterance, speed)])

    def statistics(self, utterance: str, speed: float = ORIGINAL) -> np.ndarray:
        """Return mean and standard deviation of every layer, float32 [2, layers, dim]."""
        return self._layers[self._row(utterance, speed)].astype(np.float32)

    def _row(self, utterance: str, speed: float) -> int:
        row = self._rows.get((utterance, speed))
        if row is None:
            raise UserError(f"{self.folder}: no encoding of {utterance}; run `dvc repro encode`")
        return row


def _description(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder}: no encodings here; run `dvc repro encode`") from None
