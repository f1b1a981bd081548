"""CSV tables whose every row is checked against a typed model, on reading and on writing.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-``, ``@`` or a control character for a formula and computes
it, whoever wrote it (OWASP, "CSV Injection"; CWE-1236). Words that begin so come from corpora, which others made. So
:func:`write_csv` puts an apostrophe before them, and before words that begin with apostrophes and then so:
:func:`read_csv` takes one away, and what was written comes back as it was. Numbers stay numbers, ``-0.5`` too.
Tables that the pipeline has not written are read as they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TextIO

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError

from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write

FORMULA = re.compile(r"'*[=+\-@\t\r\n\x00]")  # how words begin that are written with an apostrophe before them
LONE = re.compile(r"\r(?!\n)")  # the line end of another age: readers take it for the end of a row
ROWS = 1000  # checked at a time: as mappings and models they take many times the memory of the table
SHOWN = 10  # violations named in one message; a table with thousands is not read to the end by anyone


class Row(BaseModel):
    """Base of the row models: no unknown columns."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


def _blank_to_nan(value: Any) -> Any:
    return math.nan if value is None or value == "" else value


# A number that may be unknown: an empty cell on disk, NaN in memory.
Number = Annotated[float, BeforeValidator(_blank_to_nan)]


def check(rows: Iterable[Mapping[str, Any]], row: type[Row], name: str, first: int = 0) -> pd.DataFrame:
    """Validate ``rows`` and return them as a data frame with the columns of ``row``, in its order.

    Args:
        rows: mappings from column to value; a column that has a default may be absent
        row: the model every row must satisfy
        name: what the table is called in messages (a path)
        first: number of the first row in messages (2 for a file, where line 1 is the header)

    Raises:
        UserError: naming row, column, value and rule of each violation
    """
    columns = list(row.model_fields)
    checked: list[tuple[Any, ...]] = []
    lines: list[str] = []
    violations = 0
    remaining = iter(rows)
    while batch := list(islice(remaining, ROWS)):
        try:
            valid = _list_of(row).validate_python(batch)
        except ValidationError as error:
            violations += error.error_count()
            lines += [_violation(e, first) for e in error.errors()[: SHOWN - len(lines)]]
        else:
            checked += [tuple(getattr(one, column) for column in columns) for one in valid]
        first += len(batch)
    if violations:
        more = violations - len(lines)
        lines += [f"... and {more} more"] if more > 0 else []
        raise UserError(f"{name}: {violations} invalid value(s)\n  " + "\n  ".join(lines))
    numbers = {name: float for name, field in row.model_fields.items() if field.annotation is float}
    return pd.DataFrame(checked, columns=columns).astype(numbers)


def write(frame: pd.DataFrame, path: Path, row: type[Row]) -> None:
    """Check ``frame`` against ``row`` and write it as UTF-8 CSV with Unix line ends."""
    write_csv(check(_records(frame), row, str(path)), path)


def write_csv(frame: pd.DataFrame, path: Path, float_format: str | None = None) -> None:
    """Write a table as UTF-8 CSV with Unix line ends; no spreadsheet takes its words for formulas.

    Raises:
        UserError: if it cannot be written
    """
    words = frame.select_dtypes(exclude=["number", "bool"]).columns
    safe = frame.assign(**{name: frame[name].map(_escape_formula) for name in words})
    with atomic_write(path) as part:
        safe.to_csv(part, index=False, float_format=float_format, lineterminator="\n")


def _escape_formula(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = LONE.sub("\n", value)
    return f"'{value}" if FORMULA.match(value) else value


def read(path: Path, row: type[Row], foreign: bool = False) -> pd.DataFrame:
    """Read a CSV written by :func:`write` or by hand (BOM, CRLF and semicolons are accepted).

    Args:
        path: of the file
        row: the model every row must satisfy
        foreign: somebody else wrote it: an apostrophe is an apostrophe

    Raises:
        UserError: if the file is absent, not a table, lacks a column, or a value breaks a rule
    """
    return typed(read_cells(path) if foreign else read_csv(path), row, str(path))


def typed(cells: pd.DataFrame, row: type[Row], name: str) -> pd.DataFrame:
    """Check the cells of a table that was read, and return it with the columns and types of ``row``.

    Args:
        cells: as text
        row: the model every row must satisfy
        name: what the table is called in messages (a path)

    Raises:
        UserError: if a column is missing, or a value breaks a rule
    """
    required = [column for column, field in row.model_fields.items() if field.is_required()]
    missing = [column for column in required if column not in cells.columns]
    if missing:
        raise UserError(
            f"{name}: column(s) {', '.join(missing)} missing; found {', '.join(cells.columns)}; "
            f"the columns are {', '.join(row.model_fields)}"
        )
    return check(_records(cells), row, name, first=2)


def read_csv(source: Path | TextIO) -> pd.DataFrame:
    """Return every cell of a CSV that :func:`write_csv` wrote as the text it was; see :func:`read_cells`."""
    return read_cells(source).map(unescape)


def unescape(cell: str) -> str:
    """Return the words that :func:`write_csv` wrote as ``cell``.

    >>> unescape("'-- no"), unescape("'tis"), unescape("''=1")
    ('-- no', "'tis", "'=1")
    """
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def read_cells(source: Path | TextIO) -> pd.DataFrame:
    """Return every cell of a CSV as text, empty where there is none: "NA" stays a word.

    Args:
        source: a file's path, or the open file

    Raises:
        UserError: if the file is absent, not UTF-8, or not a table
    """
    path = source if isinstance(source, Path) else "table"
    try:
        with source.open(encoding="utf-8-sig", newline="") if isinstance(source, Path) else source as file:
            header = file.readline()
            file.seek(0)
            separator = ";" if header.count(";") > header.count(",") else ","
            frame = pd.read_csv(file, sep=separator, dtype=str, keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError(f"{path}: not a CSV table: {str(error).strip()}") from None
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes what the header does not name for names of the rows
        raise UserError(f"{path}: every row has more cells than the header names; is there a comma too many?")
    return frame


def _records(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Go through the rows as mappings, without having them all at once."""
    for start in range(0, len(frame), ROWS):
        yield from frame.iloc[start : start + ROWS].to_dict("records")


@cache
def _list_of(row: type[Row]) -> TypeAdapter[list[Row]]:
    return TypeAdapter(list[row])


def _violation(error: Mapping[str, Any], first: int) -> str:
    index, *column = error["loc"]
    where = f"row {index + first}" + (f", column {column[0]}" if column else "")
    return f"{where}: {error['input']!r}: {error['msg'].removeprefix('Value error, ')}"
