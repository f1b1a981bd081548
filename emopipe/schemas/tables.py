"""CSV tables whose rows are checked against a typed model, on reading and on writing.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-``, ``@`` or a control character for a formula and computes
it (OWASP, "CSV Injection"; CWE-1236). Texts of that form come from corpora, which others made. So :func:`write_csv`
escapes them by an apostrophe, and also texts that begin with apostrophes followed by such a character;
:func:`read_csv` removes one apostrophe from these, so that every text is read as it was before it was written. Numbers
are not escaped, not even ``-0.5``. Tables that the user wrote are not escaped: they are read as they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, TextIO

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter, ValidationError, create_model

from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write

FORMULA = re.compile(r"'*[=+\-@\t\r\n\x00]")  # the beginning of texts that are escaped
LONE = re.compile(r"\r(?!\n)")  # the line end of old Macintoshes: readers take it for the end of a row
ROWS = 1000  # checked at a time: as mappings and models they take many times the memory of the table
SHOWN = 10  # violations named in one message: nobody reads thousands


class Row(BaseModel):
    """Base of the row models: no unknown columns."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


def _blank_to_nan(value: Any) -> Any:
    return math.nan if value is None or value == "" else value


# A number that may be unknown: an empty cell on disk, NaN in memory.
Number = Annotated[float, BeforeValidator(_blank_to_nan)]


def check(rows: pd.DataFrame | Iterable[Mapping[str, Any]], row: type[Row], name: str, first: int = 0) -> pd.DataFrame:
    """Validate ``rows`` and return them as a data frame with the columns of ``row``, in its order.

    Args:
        rows: a table, or mappings from column to value; a column that has a default may be absent
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
    remaining = _records(rows) if isinstance(rows, pd.DataFrame) else iter(rows)
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


def write(frame: pd.DataFrame, path: Path, row: type[Row], changed: Sequence[str] | None = None) -> None:
    """Check ``frame`` against ``row`` and write it as UTF-8 CSV with Unix line ends.

    Args:
        frame: the table
        path: of the file
        row: the model every row must satisfy
        changed: for a table that has been checked: the columns assigned since, which alone are checked; None: all

    Raises:
        UserError: naming row and column of each violation, or if the file cannot be written
    """
    if changed is None:
        frame = check(frame, row, str(path))
    else:
        part = check(frame[list(changed)], _part(row, tuple(changed)), str(path))
        frame = frame.assign(**part.set_axis(frame.index))
    write_csv(frame, path)


def write_csv(frame: pd.DataFrame, path: Path, float_format: str | None = None) -> None:
    """Write a table as UTF-8 CSV with Unix line ends, texts that a spreadsheet would take for formulas escaped.

    Raises:
        UserError: if it cannot be written
    """
    texts = frame.select_dtypes(exclude=["number", "bool"]).columns
    safe = frame.assign(**{name: frame[name].map(escape_formula) for name in texts})
    with atomic_write(path) as part:
        safe.to_csv(part, index=False, float_format=float_format, lineterminator="\n")


def escape_formula(value: Any) -> Any:
    """Return a cell as it is written: a text that a spreadsheet would take for a formula behind an apostrophe."""
    if not isinstance(value, str):
        return value
    value = LONE.sub("\n", value)
    return f"'{value}" if FORMULA.match(value) else value


def read(path: Path, row: type[Row], escaped: bool = True) -> pd.DataFrame:
    """Read a CSV written by :func:`write` or by hand (BOM, CRLF and semicolons are accepted).

    Args:
        path: of the file
        row: the model every row must satisfy
        escaped: whether :func:`write` wrote it; False for a table of the user's own, whose apostrophes are meant

    Raises:
        UserError: if the file is absent, not a table, lacks a column, or a value breaks a rule
    """
    return typed(read_csv(path) if escaped else read_cells(path), row, str(path))


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
    return check(cells, row, name, first=2)


def read_csv(source: Path | TextIO) -> pd.DataFrame:
    """Return every cell of a CSV that :func:`write_csv` wrote as text, unescaped; see :func:`read_cells`."""
    return read_cells(source).map(unescape)


def unescape(cell: str) -> str:
    """Return the text that :func:`write_csv` wrote as ``cell``.

    >>> unescape("'-- no"), unescape("'tis"), unescape("''=1")
    ('-- no', "'tis", "'=1")
    """
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def read_cells(source: Path | TextIO) -> pd.DataFrame:
    """Return every cell of a CSV as text, empty where there is none; "NA" stays a text.

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
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes cells without a header for an index
        raise UserError(f"{path}: every row has more cells than the header names; is there a comma too many?")
    return frame


def _records(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the rows as mappings, in batches that bound the memory."""
    for start in range(0, len(frame), ROWS):
        yield from frame.iloc[start : start + ROWS].to_dict("records")


@cache
def _list_of(row: type[Row]) -> TypeAdapter[list[Row]]:
    return TypeAdapter(list[row])


@cache
def _part(row: type[Row], columns: tuple[str, ...]) -> type[Row]:
    """Return the model of some columns of a row."""
    fields = {name: (row.model_fields[name].annotation, row.model_fields[name]) for name in columns}
    return create_model(row.__name__, __base__=Row, **fields)


def _violation(error: Mapping[str, Any], first: int) -> str:
    index, *column = error["loc"]
    where = f"row {index + first}" + (f", column {column[0]}" if column else "")
    rule = "not UTF-8; give that file or folder another name" if error["type"] == "string_unicode" else error["msg"]
    return f"{where}: {error['input']!r}: {rule.removeprefix('Value error, ')}"
