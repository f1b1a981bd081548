"""What a user names for recognition: files, folders, and tables of files or of segments of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from emopipe.corpora.folders import SOUND, walk
from emopipe.corpora.own_manifest import as_number, column_of, parse
from emopipe.io.errors import UserError
from emopipe.recordings.reading import Recording


class Input(NamedTuple):
    """A recording to answer, and what its row begins with."""

    recording: Recording
    columns: dict[str, str]  # of a table: its own cells, as they stand there


def inputs(paths: Sequence[str]) -> Iterator[Input]:
    """Yield the recordings that paths lead to, in order; those of a folder sorted within each of its folders.

    Args:
        paths: files of any kind; folders, which are searched to the bottom for files with a suffix of sound; tables,
            whose names end in ``.csv``

    Raises:
        UserError: if a path leads nowhere, a folder holds no recording, or a table has no column of files
    """
    for name in paths:
        path = Path(name).expanduser()
        if path.is_dir():
            yield from _folder(path)
        elif path.suffix.lower() == ".csv":
            yield from _table(path)
        elif path.exists():
            yield Input(Recording(path), {"file": str(path)})
        else:
            raise UserError(f"{name}: no such file or folder")


def _folder(folder: Path) -> Iterator[Input]:
    files = [file for file in walk(folder) if file.suffix.lower() in SOUND and not file.name.startswith(".")]
    if not files:
        raise UserError(f"{folder}: no recording below it; looked for {', '.join(SOUND)}")
    for file in files:
        yield Input(Recording(file), {"file": str(file)})


def _table(path: Path) -> Iterator[Input]:
    table = parse(path)
    meant = {column_of(name): name for name in reversed(table.cells.columns)}
    if "path" not in meant:
        raise UserError(f"{path}: no column file, of recordings; found {', '.join(table.cells.columns)}")
    for row, cells in enumerate(table.cells.to_dict("records"), start=table.first):
        times = []
        for column in ("start", "end"):
            cell = as_number(cells[meant[column]], table.separator) if column in meant else ""
            try:
                times.append(float(cell or math.nan))
            except ValueError:
                raise UserError(f"{path}: row {row}, column {meant[column]}: {cell!r}: no time in seconds") from None
        yield Input(Recording(path.parent / Path(cells[meant["path"]]).expanduser(), *times), cells)
