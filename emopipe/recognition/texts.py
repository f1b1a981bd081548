"""Texts that a user names for recognition: files with one a line, columns of tables, standard input."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from emopipe.corpora.own_manifest import column_of, parse
from emopipe.io.errors import UserError

LONGEST = 1_000_000  # characters, or bytes of a line: more is no text, and all of it is tokenised
STDIN = "-"


class Unreadable(NamedTuple):
    """What stands where a text could not be read, and why."""

    reason: str


class Line(NamedTuple):
    """A text to answer, and what its row begins with."""

    text: str | Unreadable
    columns: dict[str, Any]  # of a table: its own cells, as they stand there; else file, line, and text


def texts(sources: Sequence[str]) -> Iterator[Line]:
    """Yield the texts that sources lead to, in order; memory does not grow with the number of lines.

    A line of any content gives a text, a blank one as well; one that is not UTF-8, or far too long, gives
    :class:`Unreadable`. Lines end at a line feed, before which a carriage return may stand, and nowhere else.

    Args:
        sources: files of UTF-8 with one text a line; tables, whose names end in ``.csv``, with a column of texts
            (``text``, ``transcript``, ...); ``-`` for lines on standard input

    Raises:
        UserError: if a source is not there or cannot be read, is UTF-16, or is a table without such a column
    """
    for source in sources:
        path = Path(source).expanduser()
        if source == STDIN:
            yield from _lines(sys.stdin.buffer, "stdin")
        elif path.suffix.lower() == ".csv":
            yield from _table(path)
        else:
            try:
                file = path.open("rb")
            except FileNotFoundError:
                raise UserError(f"{source}: no such file") from None
            except OSError as error:
                raise UserError(f"{source}: cannot be read: {error.strerror}") from None
            with file:
                yield from _lines(file, str(path))


def _lines(stream: BinaryIO, name: str) -> Iterator[Line]:
    number = 0
    while content := stream.readline(LONGEST + 2):
        number += 1
        if number == 1:
            if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and b"\0" in content:
                raise UserError(f"{name}: UTF-16 text; save it as UTF-8")
            content = content.removeprefix(codecs.BOM_UTF8)
        text: str | Unreadable
        if len(content) > LONGEST and not content.endswith(b"\n"):
            text = Unreadable(f"line {number}: longer than {LONGEST:,} bytes")
            while content and not content.endswith(b"\n"):
                content = stream.readline(LONGEST)
        else:
            try:
                text = content.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
            except UnicodeDecodeError as error:
                text = Unreadable(f"line {number}: not UTF-8 (byte {error.start + 1})")
        shown = None if isinstance(text, Unreadable) else text
        yield Line(text, {"file": name, "line": number, "text": shown})


def _table(path: Path) -> Iterator[Line]:
    with redirect_stdout(sys.stderr):  # what it says about the form of the table is no answer
        cells = parse(path).cells
    column = next((name for name in cells.columns if column_of(name) == "transcript"), None)
    if column is None:
        raise UserError(f"{path}: no column text, of texts; found {', '.join(cells.columns)}")
    for row in cells.to_dict("records"):
        yield Line(row[column], row)
