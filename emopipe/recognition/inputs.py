"""What a user names for recognition: files, folders, and tables of files or of segments of them."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from emopipe.corpora import audformat_database
from emopipe.corpora.folders import SOUND, walk
from emopipe.corpora.own_manifest import as_number, column_of, parse
from emopipe.io.errors import UserError
from emopipe.recordings import containers
from emopipe.recordings.reading import Recording, RejectedError, channels


class Input(NamedTuple):
    """A recording to answer, and what its row begins with."""

    recording: Recording
    columns: dict[str, str]  # of a table: its own cells, as they stand there


def inputs(paths: Sequence[str]) -> Iterator[Input]:
    """Yield the recordings that paths lead to, in order; those of a folder sorted within each of its folders.

    Args:
        paths: files of any kind; folders, which are searched to the bottom for files with a suffix of sound; databases
            in audformat, which are folders with a ``db.yaml``; tables, whose names end in ``.csv``

    Raises:
        UserError: if a path leads nowhere, a folder holds no recording, a database cannot be read, or a table has no
            column of files
    """
    for name in paths:
        path = Path(name).expanduser()
        if (path / audformat_database.HEADER).is_file():
            yield from _database(path)
        elif path.is_dir():
            yield from _folder(path)
        elif path.suffix.lower() == ".csv":
            yield from _table(path)
        elif path.exists():
            yield Input(Recording(path), {"file": str(path)})
        else:
            raise UserError(f"{name}: no such file or folder")


def each_channel(named: Iterable[Input]) -> Iterator[Input]:
    """Yield every channel of every recording; of one that cannot be opened nothing but itself."""
    for one in named:
        try:
            count = channels(one.recording.path)
        except RejectedError:
            count = 0
        for channel in range(count) if count else [None]:
            recording = one.recording._replace(channel=channel)
            yield one._replace(recording=recording, columns=one.columns | {"channel": channel})


def transcript(one: Input) -> str:
    """Return what is said in a recording, of the table that names it.

    Raises:
        UserError: if it was named by no table, or one without a column of texts
    """
    name = next((name for name in one.columns if column_of(name) == "transcript"), None)
    if name is None:
        raise UserError(f"{one.recording.path}: no text; name a table with columns file and text")
    return one.columns[name]


def _folder(folder: Path) -> Iterator[Input]:
    suffixes = dict.fromkeys((*SOUND, *(containers.SUFFIXES if containers.installed() else ())))
    files = [file for file in walk(folder) if file.suffix.lower() in suffixes and not file.name.startswith(".")]
    if not files:
        raise UserError(f"{folder}: no recording below it; looked for {', '.join(suffixes)}")
    for file in files:
        yield Input(Recording(file), {"file": str(file)})


def _database(folder: Path) -> Iterator[Input]:
    """Yield every file, and every segment of one, that the tables of a database in audformat name."""
    if not find_spec("audformat"):
        raise UserError(f"{folder}: a database in audformat; `pip install 'emopipe[audformat]'` to read it")
    found = audformat_database.segments(folder)
    if not found:
        raise UserError(f"{folder}: a database in audformat whose tables name no file")
    for file, start, end in found:
        times = (math.nan if time is None else time for time in (start, end))
        yield Input(Recording(folder / file, *times), {"file": str(folder / file)})


def _table(path: Path) -> Iterator[Input]:
    with redirect_stdout(sys.stderr):  # what it says about the form of the table is no answer
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
