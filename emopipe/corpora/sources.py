"""What readers of corpora share: file names and lines that follow a scheme, columns of a CSV."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas import tables


def inner(folder: Path, *names: str) -> Path:
    """Return the first folder of these names below ``folder``, or ``folder`` itself where there is none."""
    return next((folder / name for name in names if (folder / name).is_dir()), folder)


def match_names(files: Iterable[Path], scheme: re.Pattern[str], form: str) -> list[tuple[Path, re.Match[str]]]:
    """Return the files whose name without suffix follows ``scheme``, sorted by path, each with its match.

    A few other files in a corpus folder are common (notes, songs, resource forks): they are left out, and counted in
    one notice.

    Args:
        files: the files of one folder
        scheme: pattern of the whole name
        form: the scheme in words, for messages

    Raises:
        UserError: if there are files, but none follows the scheme
    """
    found = sorted(files)
    matches = [(file, match) for file in found if (match := scheme.fullmatch(file.stem))]
    others = sorted(set(found) - {file for file, _ in matches})
    if others and not matches:
        raise UserError(f"{others[0]}: not a name of this corpus, nor is any of {len(found)}: expected {form}")
    if others:
        print(f"{others[0].parent}: left out {len(others)} file(s) not named {form}, the first {others[0].name}")
    return matches


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
        print(f"left out {len(others)} line(s) that do not read {form}; the first: {others[0]}")
    return matches


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text in UTF-8 or, where it is none, in Windows-1252."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace").splitlines()


def read_columns(path: Path, columns: Iterable[str]) -> pd.DataFrame:
    """Read a published CSV as text and return the named columns.

    Raises:
        UserError: if the file is absent, not a table, or lacks a column
    """
    cells = tables.read_cells(path)
    wanted = list(columns)
    missing = [name for name in wanted if name not in cells.columns]
    if missing:
        raise UserError(f"{path}: column(s) {', '.join(missing)} missing; found {', '.join(cells.columns)}")
    return cells[wanted]
