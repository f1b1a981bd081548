"""Any database in audformat, the form that audEERING publishes databases in and nkululeko reads.

Layout, wherever in the folder: ``db.yaml``, the header, and its tables ``db.TABLE.csv`` or ``db.TABLE.parquet``; audio
below the same folder.

What is read, by the ids that databases usually give their schemes (a column with such a name counts, too, and so does
a field of another scheme's labels, such as the gender in a table of speakers):

========================  ====================================================================================
``emotion``               the emotion, by the words of :mod:`emopipe.schemas.labels`
``valence``, ``arousal``  mapped linearly from the minimum and maximum of their scheme to 1..5, with a notice;
(or ``activation``),      left out where the scheme gives none
``dominance``
``speaker``, ``session``  as they stand
``gender`` or ``sex``     female, male and other
``transcription``,        the transcript. A database of acted speech has the scripted sentence there: do not list it
``transcript``, ``text``  in ``data.text.corpora``
========================  ====================================================================================

Where a table has the very name of a scheme, that table is read for it; else every table that has such a column. A
database that holds several judgements of the same files, such as what an actor meant and what listeners heard, says
nothing about which one counts: ``audformat:FOLDER:emotion.categories.desired`` reads emotions, ratings and the official
split from the tables alone whose names begin so.

An utterance is a file, or a segment of one, with an emotion or a rating; a file with such segments is no utterance
besides. Speaker, session, sex and split of a file hold for its segments, too. The official split is that of the tables
that belong to one.

Licence and citation: of the database; the licence is printed.

Traps: the package would read a table from a pickle where there is one, and the header in a way that can run code. Here
the header is read as plain data and tables from CSV or parquet alone. In EmoDB 2.0 ``emotion`` holds all 816
recordings, those that the listeners did not recognise as well: the reader ``emodb`` keeps to the other 535.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from emopipe.corpora.corpus import Corpus
from emopipe.corpora.folders import Scheme, find
from emopipe.io.errors import UserError
from emopipe.schemas import tables
from emopipe.schemas.labels import SEXES, WORDS, meaning, nearest
from emopipe.schemas.manifest import DIMENSIONS, EMOTIONS, SETS, Utterance
from emopipe.schemas.notices import notice

if TYPE_CHECKING:
    import audformat

SCHEMES = {
    "emotion": ("emotion",),
    "valence": ("valence",),
    "arousal": ("arousal", "activation"),
    "dominance": ("dominance",),
    "speaker": ("speaker",),
    "session": ("session",),
    "sex": ("gender", "sex"),
    "transcript": ("transcription", "transcript", "text"),
}
HEADER = "db.yaml"
DATABASE = Scheme("audformat", r"([^/]*)/db", HEADER, suffixes=(".yaml",))
LABELS = ("emotion", *DIMENSIONS)
STORED = ("parquet", "csv")  # how a table may be stored; never as pickle

Key = tuple[str, float | None, float | None]  # file, start, end; None: those of the file


def read(folder: Path, tables_of: str = "", words: Mapping[str, str] = WORDS) -> pd.DataFrame:
    """Return one row per labelled file or segment, in the order of the tables.

    Args:
        folder: of the database
        tables_of: how the names of the tables begin that labels and the split are read from
        words: the emotion of each word for one

    Raises:
        UserError: if the header or a table cannot be read, two tables contradict each other, or nothing is labelled
    """
    folder = _place(folder)
    database = _load(folder)
    print(f"audformat: {database.name}, licence {database.license or 'unknown'}")
    chosen = _chosen(database, folder, tables_of)
    known = {name: _values(database, folder, name, chosen if name in LABELS else None) for name in SCHEMES}
    keys = dict.fromkeys(key for column in LABELS for key in known[column])
    if not keys:
        raise UserError(
            f"{folder / HEADER}: no table has a scheme or column named emotion, valence, arousal or dominance with a "
            f"value; its schemes are {', '.join(database.schemes) or 'none'}"
        )
    divided = {key[0] for key in keys if key != _whole(key)}
    kept = [key for key in keys if key != _whole(key) or key[0] not in divided]
    _report_unknown_emotions(database.name, [known["emotion"].get(key) for key in kept], words)
    known["split"] = _sets(database, folder, chosen)
    shared = {"language": _language(database.languages), "corpus": database.name}
    rows = [shared | _row(database.name, folder, key, known, words) for key in kept]
    return tables.check(rows, Utterance, f"audformat in {folder}")


def segments(folder: Path) -> list[Key]:
    """Return every file, and every segment of one, that the tables name: once, in their order.

    Args:
        folder: with the header in it

    Raises:
        UserError: if the header or a table cannot be read
    """
    return list(dict.fromkeys(_key(index) for table in _load(folder).tables.values() for index in table.index))


def _place(folder: Path) -> Path:
    """Return the folder of the one database that lies highest below ``folder``."""
    places = sorted((file.parent for file, _ in find(folder.resolve(), DATABASE)), key=lambda place: len(place.parts))
    highest = [place for place in places if len(place.parts) == len(places[0].parts)]
    if len(highest) > 1:
        raise UserError(f"{folder}: {len(highest)} databases; name the folder of one: {', '.join(map(str, highest))}")
    return folder if places[0] == folder.resolve() else places[0]


def _chosen(database: audformat.Database, folder: Path, tables_of: str) -> set[str] | None:
    """Return the tables that labels are read from; None: all."""
    if not tables_of:
        return None
    chosen = {name for name in database.tables if name.startswith(tables_of)}
    if chosen:
        return chosen
    raise UserError(
        f"{folder / HEADER}: no table's name begins with {tables_of}; there are {', '.join(database.tables)}"
    )


def _load(folder: Path) -> audformat.Database:
    import audformat  # takes a second, so only where it is needed

    path = folder / HEADER
    try:
        # Database.load() would let YAML construct any Python object.
        database = audformat.Database.load_header_from_yaml(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: not a header of audformat: {error}") from None
    with TemporaryDirectory() as scratch:  # without the pickle files that Table.load() would prefer
        for name in (*database.misc_tables, *database.tables):
            files = [folder / f"db.{name}.{suffix}" for suffix in STORED]
            stored = next((file for file in files if file.is_file()), None)
            if not stored:
                raise UserError(
                    f"{folder}: no {files[0].name} or {files[1].name}; a table that is there as pickle alone is not "
                    "loaded: save the database with storage_format='csv'"
                )
            (Path(scratch) / stored.name).symlink_to(stored.resolve())
            try:
                database[name].load(str(Path(scratch) / f"db.{name}"))
            except (KeyError, ValueError, TypeError, OSError) as error:
                raise UserError(f"{stored}: not the table that the header describes: {error}") from None
    return database


def _values(database: audformat.Database, folder: Path, name: str, chosen: set[str] | None) -> dict[Key, Any]:
    """Return the values of a column of the manifest, as far as the database, or the chosen tables of it, knows them."""
    values: dict[Key, Any] = {}
    for table, scheme, series in _columns(database, SCHEMES[name], chosen):
        where = f"{folder / f'db.{table}'}: {series.name}"
        _add(values, _entries(_on_scale(series, scheme, where) if name in DIMENSIONS else series), where)
    return values


def _columns(
    database: audformat.Database, names: tuple[str, ...], chosen: set[str] | None
) -> Iterator[tuple[str, audformat.Scheme | None, pd.Series]]:
    """Yield the columns with such a scheme, name or label field: table, scheme, values."""
    own = [name for name in names if name in database.tables] or list(database.tables)
    for table in own if chosen is None else [name for name in database.tables if name in chosen]:
        for identifier, column in database.tables[table].columns.items():
            scheme = database.schemes[column.scheme_id] if column.scheme_id else None
            fields = _fields(database, scheme)
            if column.scheme_id in names or identifier in names:
                described = fields is None and "speaker" not in names  # of a speaker the text is no identifier
                yield table, scheme, column.get(map=identifier if described else None)
            elif field := next((name for name in names if name in (fields or ())), None):
                yield table, scheme, column.get(map=field)


def _fields(database: audformat.Database, scheme: audformat.Scheme | None) -> list[str] | None:
    """Return the fields by which a scheme describes its labels; None where each label has one plain text."""
    labels = scheme.labels if scheme else None
    if isinstance(labels, str):
        return list(database.misc_tables[labels].columns)
    if not isinstance(labels, dict):
        return []
    if all(isinstance(value, str) for value in labels.values()):
        return None
    return list(dict.fromkeys(field for value in labels.values() if isinstance(value, dict) for field in value))


def _entries(series: pd.Series) -> Iterator[tuple[Key, Any]]:
    known = series[series.notna()]
    for index, value in zip(known.index, known.tolist(), strict=True):
        yield _key(index), value


def _key(index: str | tuple[str, pd.Timedelta, pd.Timedelta]) -> Key:
    if isinstance(index, str):
        return index, None, None
    file, start, end = index
    # A segment from the beginning to wherever the file ends is the file.
    return file, start.total_seconds() or None, None if pd.isna(end) else end.total_seconds()


def _add(values: dict[Key, Any], entries: Iterable[tuple[Key, Any]], where: str) -> None:
    for key, value in entries:
        if values.setdefault(key, value) != value:
            raise UserError(
                f"{where}: {value!r} for {key[0]}, which another table or rater calls {values[key]!r}; say how the "
                "names of the tables begin that count, audformat:FOLDER:BEGINNING"
            )


def _whole(key: Key) -> Key:
    return key[0], None, None


def _on_scale(series: pd.Series, scheme: audformat.Scheme | None, where: str) -> pd.Series:
    low, high = (scheme.minimum, scheme.maximum) if scheme else (None, None)
    if low is None or high is None or low >= high:
        notice(where, int(series.notna().sum()), "ratings", "left out: their scheme gives no minimum and maximum")
        return series.iloc[:0]
    if (low, high) != (1, 5):
        print(f"{where} mapped linearly from the scale of {low} to {high} to that of 1 to 5")
    return (1 + 4 * (series.astype(float) - low) / (high - low)).round(6)


def _sets(database: audformat.Database, folder: Path, chosen: set[str] | None) -> dict[Key, str]:
    sets: dict[Key, str] = {}
    for name, table in database.tables.items():
        if chosen is not None and name not in chosen:
            continue
        kind = database.splits[table.split_id].type if table.split_id else None
        if kind in SETS:
            _add(sets, ((_key(index), kind) for index in table.index), f"{folder / f'db.{name}'}: split")
    return sets


def _language(codes: list[str]) -> str:
    """Return the two letters of the one language of a database, empty where there are several or none.

    >>> [_language(codes) for codes in (["deu"], ["eng", "deu"], [])]
    ['de', '', '']
    """
    from iso639 import Lang  # comes with audformat, whose codes have three letters

    return (Lang(codes[0]).pt1 or codes[0]) if len(codes) == 1 else ""


def _row(
    name: str, folder: Path, key: Key, known: dict[str, dict[Key, Any]], words: Mapping[str, str]
) -> dict[str, Any]:
    file, start, end = key
    part = "" if key == _whole(key) else f"_{start or 0:.3f}-{'end' if end is None else f'{end:.3f}'}"
    # Labels and words are those of the segment itself; who speaks in a file speaks in its segments.
    own = {column: known[column].get(key) for column in ("emotion", *DIMENSIONS, "transcript")}
    of_file = {
        column: known[column].get(key, known[column].get(_whole(key), ""))
        for column in ("speaker", "session", "sex", "split")
    }
    return {
        "utterance": f"{name}/{Path(file).with_suffix('').as_posix().lstrip('/')}{part}",
        "speaker": f"{name}/{of_file['speaker']}" if of_file["speaker"] != "" else "",
        "sex": meaning(of_file["sex"], SEXES) or "",
        "session": str(of_file["session"]),
        "split": of_file["split"],
        "path": str(folder / file),
        "start": math.nan if start is None else start,
        "end": math.nan if end is None else end,
        "emotion": "" if own["emotion"] is None else meaning(own["emotion"], words) or "",
        **{dimension: own[dimension] for dimension in DIMENSIONS},
        "transcript": own["transcript"] or "",
    }


def _report_unknown_emotions(name: str, labels: list[Any], words: Mapping[str, str]) -> None:
    """Say which words stand for no emotion here, and how many utterances are left without one for that."""
    unknown = Counter(str(label) for label in labels if label is not None and meaning(label, words) is None)
    for label, count in sorted(unknown.items()):
        near = nearest(label, words)
        meant = words[near] if near else "happiness"
        what = f"left without an emotion: {label!r} is none here; data.audio.merge={{{label}: {meant}}} gives it one"
        notice(name, count, "utterances", what, len(labels))


CORPUS = Corpus(
    key="audformat",
    title="Any database in audformat",
    size="its own",
    labels=(*EMOTIONS, *DIMENSIONS),
    branch="both",
    licence="its own, printed when it is read",
    citation="its own",
    source="https://audeering.github.io/datasets, or audb",
    layout=f"{HEADER}, db.TABLE.csv or db.TABLE.parquet, and the audio",
    read=read,
)
