r"""A corpus of the user's own: a CSV with the columns of the manifest.

Layout: any file whose name ends in ``.csv``. The columns are those of :class:`emopipe.schemas.manifest.Utterance`:
``path`` for audio, ``transcript`` for text, and a target. Paths are relative to the CSV's folder, or absolute.

Several utterances of one file: ``start`` and ``end`` are the times of each in seconds; an empty one is the file's
own beginning or end. The resample stage reads the segment alone and makes a file of it. A segment whose times are the
wrong way round, or that reaches beyond the end of the file by more than 0.05 s, is rejected there.

Labels: the emotion vocabulary of the manifest; valence, arousal and dominance on its scale of 1 to 5.

What tables made for other tools have instead is accepted, with a notice, where its meaning is certain:

* columns of other names (``file``, ``gender``, ``label``, ``text``, ...), in any capitals; columns that the manifest
  does not have are not read, unless one looks like a misspelt one of it
* no ``corpus``: it is called as the file; no ``utterance``: its name is made of the path; names without their corpus
* the words of :mod:`emopipe.schemas.labels` for emotions, sexes and sets
* semicolons or tabs, the line ``sep=;`` of Excel, blanks after separators, cells beyond the header that are empty,
  decimal commas beside semicolons, UTF-16
* ``\"`` for a quotation mark in a quoted cell, where the file cannot be read as CSV has it (``""``)
* backslashes between folders, ``~``, times as ``0 days 00:00:01.5``

Everything else that breaks a rule is refused by row and column, with the nearest right value.

Traps: ``sha256`` and ``seconds`` are not taken from the table but measured again. Segments that overlap share their
sound without being copies of one another: split by speaker or session, so that they stay in one set.
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas import tables
from emopipe.schemas.labels import PARTS, SEXES, WORDS, meaning, nearest, plain
from emopipe.schemas.manifest import DIMENSIONS, EMOTIONS, SETS, Utterance, audio_path, check_unique
from emopipe.schemas.notices import notice

COLUMNS = tuple(Utterance.model_fields)
MEASURED = ("sha256", "seconds")
OTHER_NAMES = {
    "path": ("file", "filename", "file name", "file path", "filepath", "audio", "audio path", "audio file", "wav"),
    "utterance": ("id", "utterance id", "utt id", "segment id"),
    "speaker": ("speaker id", "speakerid", "spk", "spk id"),
    "sex": ("gender",),
    "emotion": ("label", "emotion label", "emotions", "emo"),
    "transcript": ("text", "transcription", "sentence", "words"),
    "split": ("set", "partition", "subset", "split set"),
    "language": ("lang",),
    "start": ("start time", "begin", "onset"),
    "end": ("end time", "offset", "stop"),
    "arousal": ("activation",),
    "corpus": ("database", "dataset"),
}
NAMES = {name: column for column, names in OTHER_NAMES.items() for name in names} | {name: name for name in COLUMNS}
NUMBERS = ("start", "end", *DIMENSIONS)
NOBODY = ("nan", "none", "null", "n/a")  # what programs write for a name they do not have
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\r?\n', re.IGNORECASE)  # Excel's, before the header
TIME = re.compile(r"(?:(\d+) days? )?(\d+):(\d\d):(\d\d(?:\.\d+)?)")
DECIMAL_COMMA = re.compile(r"^(-?\d+),(\d+)$")
DRIVE = re.compile(r"[A-Za-z]:[\\/]")


def read(path: Path, words: Mapping[str, str] = WORDS) -> pd.DataFrame:
    """Return the rows, in the order of the file, with paths as seen from the working folder.

    Args:
        path: of the CSV
        words: the emotion of each word for one

    Raises:
        UserError: naming row and column of each violation
    """
    table = parse(path)
    cells = _with_values(_named(table.cells, path), table, path, words)
    rows = tables.check(_with_names(cells, path), Utterance, str(path), table.first)
    check_unique(rows, str(path))
    return rows.assign(path=[str(audio_path(path, name)) if name else "" for name in rows["path"]])


class Parsed(NamedTuple):
    """A table as it stands in its file."""

    cells: pd.DataFrame  # of text; the columns as the header names them
    first: int  # number of the first row below the header
    separator: str


def parse(path: Path) -> Parsed:
    """Return a table as it stands in its file, whichever program wrote that.

    Raises:
        UserError: if it is absent or not a table, naming the row
    """
    text, first = _text(path), 2
    if found := SEPARATOR_LINE.match(text):
        text, first = text[found.end() :], 3
        print(f"{path}: the first line, {found[0].strip()}, names the separator, as Excel writes it")
    header = text.partition("\n")[0]
    separator = found[1] if found else max(",;\t", key=header.count)
    rows = _rows(text, separator, path, first)
    if not rows or not any(rows[0]):
        raise UserError(f"{path}: not a CSV table: it has no header")
    head, *rows = rows
    for number, row in enumerate(rows, start=first):
        if any(row[len(head) :]):
            raise UserError(
                f"{path}: row {number} has {len(row)} cells, the header names {len(head)}; a cell that holds "
                f"{separator!r} needs quotation marks around it"
            )
    square = [row[: len(head)] + [""] * (len(head) - len(row)) for row in rows]
    return Parsed(pd.DataFrame(square, columns=head, dtype=str), first, separator)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from None
    return text if "\n" in text else text.replace("\r", "\n")


def _rows(text: str, separator: str, path: Path, first: int) -> list[list[str]]:
    r"""Return the rows of cells, as CSV has it (RFC 4180) or else with ``\"`` for a quotation mark in a cell."""
    rows, fault = _attempt(text, separator, None)
    if fault and '\\"' in text:
        escaped, still = _attempt(text, separator, "\\")
        if not still:
            cells = sum('"' in cell for row in escaped for cell in row)
            notice(path.name, cells, "cells", 'read with \\" for a quotation mark, for which CSV has ""')
            return escaped
    if fault:
        raise UserError(
            f"{path}: row {len(rows) + first - 1}: not quoted as in CSV ({fault}); a quotation mark within a quoted "
            'cell is written twice: "He said ""no"" today"'
        )
    return rows


def _attempt(text: str, separator: str, escape: str | None) -> tuple[list[list[str]], str]:
    """Return the rows up to the first that breaks the rules, and how that one does; empty where none does."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    lines = re.split(r"(?<=\n)", text)  # str.splitlines() would break a line at U+2028, too
    reader = csv.reader(lines, delimiter=separator, escapechar=escape, skipinitialspace=True, strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row:
                rows.append([cell.strip() for cell in row])
    except csv.Error as error:
        return rows, str(error)
    return rows, ""


def _named(cells: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the columns that the manifest has, by its names for them.

    Raises:
        UserError: if two columns mean the same one, or the name of one looks misspelt
    """
    meant: dict[str, list[str]] = defaultdict(list)
    unknown = []
    for name in cells.columns:
        if column := column_of(name):
            meant[column].append(name)
        else:
            unknown.append(name)
    for column, names in meant.items():
        if len(names) > 1:
            raise UserError(f"{path}: the columns {', '.join(names)} all mean {column}; leave one of them")
        if names != [column]:
            print(f"{path}: column {names[0]} is taken for {column}")
    for name in unknown:
        if (near := nearest(name, NAMES)) and NAMES[near] not in meant:
            raise UserError(f"{path}: column {name}: not a column of a manifest; did you mean {NAMES[near]}?")
    if not {"path", "transcript", "utterance"} & set(meant):
        raise UserError(
            f"{path}: neither a column path, of recordings, nor transcript, of texts; found {', '.join(cells.columns)}"
            f"; the columns are {', '.join(COLUMNS)}"
        )
    unread = [name or "(without a name)" for name in unknown]
    notice(path.name, len(unread), "columns", "not read: a manifest has none of these names", first=", ".join(unread))
    kept = cells.loc[:, [names[0] for names in meant.values()]]
    return kept.set_axis(list(meant), axis=1).drop(columns=list(MEASURED), errors="ignore")


def column_of(name: str) -> str | None:
    """Return the column of the manifest that a column of this name means; None where it means none.

    >>> column_of("File Path"), column_of("sha256"), column_of("age")
    ('path', 'sha256', None)
    """
    exact = name.strip()
    return exact if exact in COLUMNS else NAMES.get(plain(name))


def _with_values(cells: pd.DataFrame, table: Parsed, path: Path, words: Mapping[str, str]) -> pd.DataFrame:
    """Return the cells as the manifest has them.

    Raises:
        UserError: naming row and column of each cell whose meaning is not certain
    """
    faults: list[str] = []
    for column, known, values in (
        ("emotion", words, EMOTIONS),
        ("sex", SEXES, ("female", "male", "other")),
        ("split", PARTS, SETS),
    ):
        if column in cells:
            faults += _unknown(cells[column], known, values, table.first)
            _translate(cells, column, lambda cell, known=known: meaning(cell, known), path)
    for column in ("speaker", "session", "language"):
        if column in cells:
            _translate(cells, column, lambda cell: "" if cell.lower() in NOBODY else cell, path)
    for column in NUMBERS:
        if column in cells:
            _translate(cells, column, lambda cell: as_number(cell, table.separator), path)
    if "path" in cells:
        faults += [
            f"row {number}, column path: {cell!r}: a path of Windows; write where the file lies on this machine"
            for number, cell in enumerate(cells["path"], start=table.first)
            if DRIVE.match(cell)
        ]
        _translate(cells, "path", lambda cell: _path(cell, path), path)
    if faults:
        shown = [
            *faults[: tables.SHOWN],
            *([f"... and {len(faults) - tables.SHOWN} more"] if faults[tables.SHOWN :] else []),
        ]
        raise UserError(f"{path}: {len(faults)} invalid value(s)\n  " + "\n  ".join(shown))
    return cells


def _unknown(cells: pd.Series, known: Mapping[str, str], values: Sequence[str], first: int) -> list[str]:
    """Return a message for each cell that stands for none of the values."""
    found = []
    for number, cell in enumerate(cells, start=first):
        if meaning(cell, known) is None:
            near = nearest(cell, known)
            remedy = (
                f"did you mean {known[near]}?" if near and known[near] else f"write {', '.join(values)}, or nothing"
            )
            if cells.name == "emotion" and not near:
                remedy += f"; or say what it means here: data.audio.merge={{{cell}: {values[0]}}}"
            found.append(f"row {number}, column {cells.name}: {cell!r}: {remedy}")
    return found


def _translate(cells: pd.DataFrame, column: str, translate: Callable[[str], str | None], path: Path) -> None:
    """Put what cells mean in their place, with a notice of the words that were written otherwise."""
    before = cells[column]
    after = [cell if (found := translate(cell)) is None else found for cell in before]
    changed = Counter((old, new) for old, new in zip(before, after, strict=True) if old != new)
    if changed:
        (old, new), _ = changed.most_common(1)[0]
        what = f"of the column {column} read by what they mean"
        notice(path.name, changed.total(), "cells", what, len(cells), f"{old!r} as {new!r}")
    cells[column] = after


def as_number(cell: str, separator: str) -> str:
    """Return a number with a decimal point, a time of day in seconds.

    >>> as_number("0 days 00:01:02.500000", ","), as_number("NaT", ","), as_number("1,5", ";"), as_number("1,500", ",")
    ('62.5', '', '1.5', '1,500')
    """
    if cell == "NaT":
        return ""
    if found := TIME.fullmatch(cell):
        days, hours, minutes, seconds = found.groups()
        return str(round(((int(days or 0) * 24 + int(hours)) * 60 + int(minutes)) * 60 + float(seconds), 6))
    return DECIMAL_COMMA.sub(r"\1.\2", cell) if separator == ";" else cell


def _path(cell: str, manifest: Path) -> str:
    """Return a path with slashes between folders, where a file with backslashes in its name is not there."""
    if cell.startswith("~"):
        return str(Path(cell).expanduser())
    if "\\" in cell and not (manifest.parent / cell).exists():
        return cell.replace("\\", "/")
    return cell


def _with_names(cells: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return the cells with the names of corpus, utterance and speaker made whole."""
    if "corpus" not in cells:
        print(f"{path}: no column corpus; the corpus is called {path.stem}")
        cells["corpus"] = path.stem
    if "utterance" not in cells:
        print(f"{path}: no column utterance; it is made of the {'path' if 'path' in cells else 'number of the row'}")
        rows = enumerate(cells.to_dict("records"), start=1)
        cells["utterance"] = [f"{row['corpus']}/{_own_name(row, number)}" for number, row in rows]
    for column in ("utterance", "speaker"):
        if column in cells:
            within = (cells[column] != "") & ~cells[column].str.contains("/")
            whole = cells[column].mask(within, cells["corpus"] + "/" + cells[column])
            first = f"{cells[column][within].iloc[0]!r} as {whole[within].iloc[0]!r}" if within.any() else ""
            what = f"of the column {column} taken for names within their corpus"
            notice(path.name, int(within.sum()), "cells", what, len(cells), first)
            cells[column] = whole
    return cells


def _own_name(row: Mapping[str, str], number: int) -> str:
    """Return a name for a row without one: its path, and its times where it is a segment.

    >>> _own_name({"path": "../clips/a.wav", "start": "1.5"}, 1), _own_name({"transcript": "So."}, 2)
    ('clips/a_1.5-', '2')
    """
    path = PurePosixPath(row.get("path", ""))
    parts = [part for part in (*path.parent.parts, path.stem) if part not in ("", "/", "..")]
    times = row.get("start", ""), row.get("end", "")
    return f"{'/'.join(parts)}_{'-'.join(times)}" if any(times) else "/".join(parts) or str(number)
