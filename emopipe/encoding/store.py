"""The encoded store: what the frozen part of a backbone gives for every utterance, computed once.

A folder with

- ``shards/00000``, ``shards/00001``, ...: the encodings of so many utterances each (:data:`SHARD`), in two files:

  - ``statistics.npy``: float16, [rows, 2, blocks + 1, dim], mean and standard deviation over the frames of every layer
    of the pretrained network;
  - ``frames.npy``: float16, [frames of all rows, dim], the input of the first trainable block (before an utterance's
    frames stand the backbone's extra tokens, if it has some); absent where no trainable block will read it;

- ``index.csv``: utterance, condition and frames of every row of all shards: an utterance may be there under several
  conditions;
- ``encoding.json``: the provenance: which weights made it, and how it was cut.

It is written and read one utterance at a time: memory does not grow with the corpus. A shard is
made apart from the others, by whichever process or machine, and counts once its own ``index.csv`` is there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field

from emopipe.encoding.row_files import RowReader, RowWriter
from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write, reporting_faults, write_json
from emopipe.schemas import tables
from emopipe.schemas.manifest import Identifier
from emopipe.schemas.tables import Row

FOLDER = Path("data/encoded")
PROVENANCE, INDEX, STATISTICS, FRAMES = "encoding.json", "index.csv", "statistics.npy", "frames.npy"
SHARDS = "shards"
SHARD = 500  # utterances; their frames are half a gigabyte at the most that the published backbones need

ORIGINAL = "original"  # the condition of an utterance as it was spoken; others read ``speed=0.9``


class StoredEncoding(NamedTuple):
    """The encoding of an utterance under a condition."""

    utterance: str
    condition: str
    frames: np.ndarray  # [frames, dim]
    statistics: np.ndarray  # [2, layers, dim]


class Entry(Row):
    """A row of the store."""

    utterance: Identifier
    condition: Annotated[str, Field(min_length=1)]
    frames: Annotated[int, Field(ge=1)]


def write(
    folder: Path,
    encodings: Iterable[StoredEncoding],
    dim: int,
    layers: int,
    provenance: dict[str, Any],
    with_frames: bool = True,
) -> None:
    """Write a store, holding one utterance in memory at a time.

    Args:
        folder: made when absent
        encodings: of the utterances, in their order
        dim: width of a frame
        layers: number of layers the statistics cover
        provenance: for ``encoding.json``
        with_frames: whether to keep the frames, or their number alone

    Raises:
        UserError: naming the utterance whose values do not fit float16
    """
    shards, left = [], iter(encodings)
    with TemporaryDirectory(dir=_made(folder)) as place:
        while first := next(left, None):
            shards.append(Path(place) / str(len(shards)))
            write_shard(shards[-1], chain([first], islice(left, SHARD - 1)), dim, layers, with_frames)
        if not shards:
            shards.append(Path(place) / "0")
            write_shard(shards[0], [], dim, layers, with_frames)
        assemble(folder, shards, provenance)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write_shard(
    folder: Path, encodings: Iterable[StoredEncoding], dim: int, layers: int, with_frames: bool = True
) -> None:
    """Write a part of a store, which is whole once its index is there; see :func:`write`."""
    (folder / INDEX).unlink(missing_ok=True)
    entries: list[tuple[str, str, int]] = []
    with (
        _writer(folder / FRAMES, (dim,)) if with_frames else nullcontext() as frames,
        _writer(folder / STATISTICS, (2, layers, dim)) as statistics,
    ):
        for encoding in encodings:
            entries.append((encoding.utterance, encoding.condition, len(encoding.frames)))
            statistics.append(encoding.statistics[None], encoding.utterance)
            if frames is not None:
                frames.append(encoding.frames, encoding.utterance)
    tables.write(pd.DataFrame(entries, columns=list(Entry.model_fields)), folder / INDEX, Entry)


def assemble(folder: Path, shards: Sequence[Path], provenance: dict[str, Any]) -> None:
    """Make a store of shards, which are moved into it.

    Args:
        folder: made when absent, on the disk where the shards lie; what it holds of a store is replaced
        shards: in the order of their rows
        provenance: for ``encoding.json``
    """
    (folder / PROVENANCE).unlink(missing_ok=True)  # without it there is no store; it is written last
    shutil.rmtree(folder / SHARDS, ignore_errors=True)
    index = pd.concat([tables.read(shard / INDEX, Entry) for shard in shards], ignore_index=True)
    with reporting_faults(folder):
        for number, shard in enumerate(shards):
            target = _made(folder / SHARDS) / f"{number:05}"
            shard.rename(target)
            (target / INDEX).unlink()
    tables.write(index, folder / INDEX, Entry)
    write_json(provenance, folder / PROVENANCE)


@contextmanager
def _writer(path: Path, shape: tuple[int, ...]) -> Iterator[RowWriter]:
    with atomic_write(path) as part, part.open("wb") as file:
        rows = RowWriter(file, shape)
        yield rows
        rows.complete()


class Store:
    """A store opened for reading. Rows are numbered from 0, in the order of ``index.csv``."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self.folder = folder
        self.provenance: dict[str, Any] = _provenance(folder)
        self.index = tables.read(folder / INDEX, Entry)
        self._shards = sorted((folder / SHARDS).iterdir())
        self._statistics = RowReader([shard / STATISTICS for shard in self._shards])
        self._starts = np.cumsum([0, *self._statistics.lengths])  # the first row of each shard
        keys = zip(self.index["utterance"], self.index["condition"], strict=True)
        self._rows = {key: row for row, key in enumerate(keys)}
        self._lengths = self.index["frames"].to_numpy()
        self._ends = self._lengths.cumsum()

    @property
    def files(self) -> list[Path]:
        """The files by which its content can be told; the frames are those that the statistics are of."""
        return [self.folder / PROVENANCE, self.folder / INDEX, *(shard / STATISTICS for shard in self._shards)]

    @property
    def dim(self) -> int:
        """Width of a frame."""
        return self._statistics.shape[2]

    @property
    def layers(self) -> int:
        """Number of layers the statistics cover: the backbone's blocks, and their input."""
        return self._statistics.shape[1]

    @property
    def conditions(self) -> list[str]:
        """The conditions under which every utterance is there, the original one first."""
        return [ORIGINAL, *(name for name in self.index["condition"].unique().tolist() if name != ORIGINAL)]

    def rows(self, utterances: Sequence[str], condition: str = ORIGINAL) -> np.ndarray:
        """Return the numbers of the rows of utterances, [utterances].

        Raises:
            UserError: naming an utterance that is not there
        """
        rows = [self._rows.get((utterance, condition)) for utterance in utterances]
        if None in rows:
            missing = list(utterances)[rows.index(None)]
            raise UserError(f"{self.folder}: no encoding of {missing}; run `dvc repro encode`")
        return np.array(rows, dtype=np.int64)

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of frames of rows, [rows]."""
        return self._lengths[rows]

    def statistics(self, rows: np.ndarray) -> np.ndarray:
        """Return mean and standard deviation of every layer, float32 [rows, 2, layers, dim]."""
        found = np.empty((len(rows), *self._statistics.shape), np.float32)
        shards = self._shard(rows)
        for own, shard, row in zip(found, shards, rows - self._starts[shards], strict=True):
            own[:] = self._statistics.read(shard, row, 1)[0]
        return found

    def frames(self, row: int) -> np.ndarray:
        """Return the frames of a row, float32 [frames, dim].

        Raises:
            UserError: if the store was made without frames
        """
        (shard,) = self._shard(np.array([row]))
        first = self._starts[shard]
        before = self._ends[first] - self._lengths[first]  # frames of the shards before
        end = self._ends[row] - before
        return self._frames.read(shard, end - self._lengths[row], self._lengths[row]).astype(np.float32)

    def encodings(self) -> Iterator[StoredEncoding]:
        """Go through the store row by row."""
        keys = self.index[["utterance", "condition"]].itertuples(index=False, name=None)
        has_frames = (self._shards[0] / FRAMES).is_file()
        for row, key in enumerate(keys):
            frames = self.frames(row) if has_frames else np.empty((self._lengths[row], 0), np.float32)
            yield StoredEncoding(*key, frames, self.statistics(np.array([row]))[0])

    def _shard(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of the shard of each row, [rows]."""
        return np.searchsorted(self._starts, rows, side="right") - 1

    @cached_property
    def _frames(self) -> RowReader:
        if not (self._shards[0] / FRAMES).is_file():
            raise UserError(f"{self.folder}: made without frames, for model.features: frozen; run `dvc repro encode`")
        return RowReader([shard / FRAMES for shard in self._shards])


def _provenance(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / PROVENANCE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder}: no encodings here; run `dvc repro encode`") from None
