"""What readers of corpora share about the content of files: lines that follow a scheme, columns of a CSV."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas import tables
from emopipe.schemas.notices import notice


def match_lines(
    files: Iterable[Path], scheme: re.Pattern[str], form: str, beginning: str = ""
) -> list[tuple[Path, re.Match[str]]]:
    """Return the lines that follow ``scheme``, file by file, each with its match; what surrounds a line is stripped.

    A few damaged lines do not make a corpus useless: they are left out, and counted in one notice.

    Args:
        files: text files, in UTF-8 or Windows-1252
        scheme: pattern of the whole line
        form: the scheme in words, for messages
        beginning: of the lines to read; others are skipped without a notice

    Raises:
        UserError: if there are such lines and none follows the scheme
    """
    matches, others = [], []
    for file in files:
        for number, line in enumerate(map(str.strip, read_lines(file)), start=1):
            if match := scheme.fullmatch(line):
                matches.append((file, match))
            elif line and line.startswith(beginning):
                others.append(f"{file}, line {number}: {line[:80]!r}")
    if others and not matches:
        raise UserError(f"{others[0]}: not a line of this corpus, nor is any of {len(others)}: expected {form}")
    if others:
        notice(
            matches[0][0].parent.as_posix(), len(others), "lines", f"left out: they do not read {form}", first=others[0]
        )
    return matches


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text in UTF-8 or, where it is none, in Windows-1252."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace").splitlines()


def read_columns(path: Path, columns: Iterable[str]) -> pd.DataFrame:
    """Read a published CSV as text and return the named columns; capitals in its header do not matter.

    Raises:
        UserError: if the file is absent, not a table, or lacks a column
    """
    cells = tables.read_cells(path)
    wanted = {name.lower(): name for name in columns}
    cells = cells.rename(columns=lambda name: wanted.get(name.strip().lower(), name))
    missing = [name for name in wanted.values() if name not in cells.columns]
    if missing:
        raise UserError(f"{path}: column(s) {', '.join(missing)} missing; found {', '.join(cells.columns)}")
    return cells[list(wanted.values())]
