"""Answers as one table: for spreadsheets, programs, data frames, and tools that read annotated databases.

=============  =========================================================================================
``csv``        UTF-8 with a header; what a spreadsheet would take for a formula is escaped
``json``       one array, a row a line
``jsonl``      a row a line
``parquet``    a file with typed columns, written group by group
``audformat``  a folder, ``db.yaml`` with the table ``predictions`` of segments, as nkululeko and audEERING's
               tools read it; emopipe reads it as well (:mod:`emopipe.corpora.audformat_database`)
=============  =========================================================================================

What has no answer is an empty cell in CSV and null elsewhere, never NaN. Numbers are written to the last digit. Memory
does not grow with the number of rows, except in audformat, whose package writes a table as a whole. A file or folder is
there complete or not at all.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TextIO

import yaml

from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write, reporting_faults
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.tables import escape_formula

if TYPE_CHECKING:
    import audformat

Row = Mapping[str, Any]
Columns = Mapping[str, type]  # str, float or int, in the order in which they are written

TEXTS = ("file", "emotion", "set", "status", "reason")  # the columns of answers that are no numbers
GROUP = 10_000  # rows of a parquet file that are in memory at a time
PACKAGES = {"parquet": "pyarrow.parquet", "audformat": "audformat"}  # optional ones
SEGMENT = ("file", "start", "end")  # what audformat knows a row by
TABLE = "predictions"
FILES = {"db.yaml", f"db.{TABLE}.csv"}  # all that a folder in audformat holds here
# Control characters, the line ends of Unicode, and what XML cannot hold.
UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")
AUTHOR = "emopipe"  # in its header; the mark of a folder that may be replaced


def typed(names: Iterable[str]) -> dict[str, type]:
    """Return the types of columns of answers, for :func:`write`; columns of a user's table are all texts.

    >>> typed(["file", "start", "emotion", "p_anger"])
    {'file': <class 'str'>, 'start': <class 'float'>, 'emotion': <class 'str'>, 'p_anger': <class 'float'>}
    """
    return {name: str if name in TEXTS else float for name in names}


def check(kind: str, target: Path | TextIO) -> None:
    """Check, before any work, that a table can be written.

    Args:
        kind: one of :data:`KINDS`
        target: see :func:`write`

    Raises:
        UserError: if this kind needs a path, its package is not installed, or what is there already would be lost
    """
    if kind in STREAMED:
        return
    if not isinstance(target, Path):
        what = "a folder" if kind == "audformat" else "a file"
        raise UserError(f"--format {kind}: the terminal cannot show it; name {what}, --output PATH")
    try:
        import_module(PACKAGES[kind])
    except ImportError:
        package = PACKAGES[kind].partition(".")[0]
        raise UserError(f"--format {kind}: no package {package}; `pip install 'emopipe[{kind}]'`") from None
    if kind == "audformat":
        _require_replaceable(target)


def write(rows: Iterable[Row], columns: Columns, kind: str, target: Path | TextIO) -> None:
    """Write a table; rows are taken one by one, as they are answered.

    Args:
        rows: from column to value: text, number or None; an absent one is None
        columns: all columns and their types
        kind: one of :data:`KINDS`
        target: a path; for csv, json and jsonl an open file as well. In audformat it is a folder, and the column
            ``file`` must hold paths as they are from the working folder; they are written as absolute ones

    Raises:
        UserError: see :func:`check`; if it cannot be written; in audformat, if the rows name no files, or two with
            different cells name the same segment
    """
    check(kind, target)
    if kind in STORED:
        STORED[kind](rows, columns, target)
    elif isinstance(target, Path):
        with atomic_write(target) as part, part.open("w", encoding="utf-8", newline="") as file:
            STREAMED[kind](rows, columns, file)
    else:
        STREAMED[kind](rows, columns, target)


def _csv(rows: Iterable[Row], columns: Columns, file: TextIO) -> None:
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(escape_formula(encodable(name)) for name in columns)
    for row in rows:
        lines.writerow(["" if cell is None else escape_formula(cell) for cell in _cells(row, columns)])


def _json(rows: Iterable[Row], columns: Columns, file: TextIO) -> None:
    before = "[\n"
    for row in rows:
        file.write(before + _object(row, columns))
        before = ",\n"
    file.write("[]\n" if before == "[\n" else "\n]\n")


def _json_lines(rows: Iterable[Row], columns: Columns, file: TextIO) -> None:
    for row in rows:
        file.write(_object(row, columns) + "\n")


def _object(row: Row, columns: Columns) -> str:
    cells = dict(zip(map(encodable, columns), _cells(row, columns), strict=True))
    return json.dumps(cells, ensure_ascii=False, allow_nan=False)


def _parquet(rows: Iterable[Row], columns: Columns, target: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    types = {str: pa.string(), float: pa.float64(), int: pa.int64()}
    schema = pa.schema([(encodable(name), types[kind]) for name, kind in columns.items()])
    remaining = iter(rows)
    with atomic_write(target) as part, parquet.ParquetWriter(part, schema) as file:
        while group := [_cells(row, columns) for row in islice(remaining, GROUP)]:
            arrays = list(map(pa.array, zip(*group, strict=True), schema.types))
            file.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _audformat(rows: Iterable[Row], columns: Columns, target: Path) -> None:
    database = _database(rows, columns)
    with reporting_faults(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{target.name}.", suffix=".part", dir=target.parent) as scratch:
            new, old = Path(scratch) / "new", Path(scratch) / "old"
            database.save(str(new), storage_format="csv")
            _require_replaceable(target)
            if target.exists():
                target.rename(old)
            try:
                new.rename(target)
            except OSError:
                if old.exists():
                    old.rename(target)
                raise


def _database(rows: Iterable[Row], columns: Columns) -> audformat.Database:
    import audformat
    import pandas as pd

    if "file" not in columns:
        raise UserError("--format audformat: it is of recordings, and these rows have no column file")
    known: dict[tuple[str, float, float], list[Any]] = {}
    others = {name: kind for name, kind in columns.items() if name not in SEGMENT}
    for row in rows:
        file, start, end = _cells(row, SEGMENT)
        key = (one_line(Path(file).absolute().as_posix()), start or 0.0, math.inf if end is None else end)
        cells = [one_line(cell) if isinstance(cell, str) else cell for cell in _cells(row, others)]
        if known.setdefault(key, cells) != cells:
            where = f"{file} from {key[1]:g} to {key[2]:g} s"
            raise UserError(f"--format audformat: two rows for {where}, where it takes one; choose another format")
    ends = [end if math.isfinite(end) else math.nan for _, _, end in known]
    times = (pd.to_timedelta([start for _, start, _ in known], unit="s"), pd.to_timedelta(ends, unit="s"))
    database = audformat.Database(
        AUTHOR, usage="other", author=AUTHOR, description="Answers of a trained model (emopipe predict)"
    )
    table = audformat.Table(audformat.segmented_index([file for file, _, _ in known], *times))
    database[TABLE] = table
    for number, name in enumerate(others):
        values = [cells[number] for cells in known.values()]
        database.schemes[name], values = _scheme(name, values, columns)
        table[name] = audformat.Column(scheme_id=name)
        table[name].set(values)
    return database


def _scheme(name: str, values: Sequence[Any], columns: Columns) -> tuple[audformat.Scheme, list[Any]]:
    """Return what a column may hold, and its values within that: predictions may leave the scale of 1 to 5 a little."""
    import audformat

    kind, meant = columns[name], _meant(name)
    if kind is str and meant == "emotion":
        chances = {_meant(column)[2:] for column in columns if _meant(column).startswith("p_")}
        labels = sorted(({*values} | chances) - {None, ""})
        return audformat.Scheme("str", labels=labels or None), [value or None for value in values]
    if kind is not str and (meant in DIMENSIONS or meant == "confidence" or meant.startswith("p_")):
        low, high = (1.0, 5.0) if meant in DIMENSIONS else (0.0, 1.0)
        bounded = [None if value is None else min(max(value, low), high) for value in values]
        return audformat.Scheme("float", minimum=low, maximum=high), bounded
    return audformat.Scheme(kind), list(values)


def _meant(name: str) -> str:
    """Return the column of an answer that has another name where a user's table has one of its own."""
    return name.removeprefix("predicted_")


def _require_replaceable(folder: Path) -> None:
    """Check that nothing would be lost but an earlier output in this format."""
    if not folder.exists() and not folder.is_symlink():
        return
    names = None if folder.is_symlink() or not folder.is_dir() else {file.name for file in folder.iterdir()}
    if names is None or (names and not (names <= FILES and _author(folder / "db.yaml") == AUTHOR)):
        raise UserError(
            f"{folder}: there already, and not only an earlier output in audformat; name a folder that is not there, "
            "or remove it yourself"
        )


def _author(header: Path) -> str | None:
    try:
        content = yaml.safe_load(header.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return content.get("author") if isinstance(content, dict) else None


def _cells(row: Row, columns: Iterable[str]) -> list[Any]:
    """Return the cells of a row; None for those that are absent or no finite number."""
    return [_cell(row.get(name)) for name in columns]


def _cell(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return encodable(value) if isinstance(value, str) else value


def encodable(text: str) -> str:
    r"""Return a text that UTF-8 can hold: names of files may have bytes that are no characters.

    >>> encodable("caf\udce9.wav")
    'caf\\udce9.wav'
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def one_line(text: str) -> str:
    r"""Return a text without control characters and line ends, at which readers would end a line; blanks replace them.

    >>> one_line("no speech\n(a\tb)")
    'no speech (a b)'
    """
    return UNFIT.sub(" ", encodable(text))


STREAMED: dict[str, Callable[[Iterable[Row], Columns, TextIO], None]] = {
    "csv": _csv,
    "json": _json,
    "jsonl": _json_lines,
}
STORED: dict[str, Callable[[Iterable[Row], Columns, Path], None]] = {"parquet": _parquet, "audformat": _audformat}
KINDS = (*STREAMED, *STORED)
