"""How readers take in what a corpus folder holds: file names that follow a scheme, CSV columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from stages.contracts import tables
from stages.contracts.errors import UserError


def match_names(files: Iterable[Path], scheme: re.Pattern[str], form: str) -> list[tuple[Path, re.Match[str]]]:
    """Return the files whose name without suffix follows ``scheme``, sorted by path, each with its match.

    A few foreign files in a corpus folder are common (notes, songs, resource forks): they are left out
    and counted in one printed line.

    Args:
        files: the files of one folder
        scheme: pattern of the whole name
        form: the scheme in words, for messages

    Raises:
        UserError: if there are files and none follows the scheme
    """
    found = sorted(files)
    matches = [(file, match) for file in found if (match := scheme.fullmatch(file.stem))]
    foreign = sorted(set(found) - {file for file, _ in matches})
    if foreign and not matches:
        raise UserError(f"{foreign[0]}: not a name of this corpus, nor is any of {len(found)}: expected {form}")
    if foreign:
        print(f"{foreign[0].parent}: left out {len(foreign)} file(s) not named {form}, the first {foreign[0].name}")
    return matches


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
