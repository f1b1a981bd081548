"""Any database in audformat, the form that audEERING publishes databases in and nkululeko reads.

Layout: ``db.yaml``, the header, and its tables ``db.TABLE.csv`` or ``db.TABLE.parquet``; audio below the same folder.

What is read, by the ids that databases usually give their schemes (a column with such a name counts, too, and so does
a field of another scheme's labels, such as the gender in a table of speakers):

========================  ====================================================================================
``emotion``               the emotion; ``happy``, ``joy``, ``angry`` and the like count as what they mean
``valence``, ``arousal``  mapped linearly from the minimum and maximum of their scheme to 1..5, with a notice;
(or ``activation``),      left out where the scheme gives none
``dominance``
``speaker``, ``session``  as they stand
``gender`` or ``sex``     female, male and other
``transcription``,        the transcript. A database of acted speech has the scripted sentence there: do not list it
``transcript``, ``text``  in ``data.text.corpora``
========================  ====================================================================================

Where a table has the very name of a scheme, that table is read for it; else every table that has such a column. An
utterance is a file, or a segment of one, with an emotion or a rating; a file with such segments is no utterance
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
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from emopipe.corpora.corpus import Corpus
from emopipe.io.errors import UserError
from emopipe.schemas import tables
from emopipe.schemas.manifest import DIMENSIONS, EMOTIONS, SETS, Utterance

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
MEANINGS = {
    "afraid": "fear",
    "angry": "anger",
    "bored": "boredom",
    "disgusted": "disgust",
    "excited": "excitement",
    "fearful": "fear",
    "frustrated": "frustration",
    "happy": "happiness",
    "joy": "happiness",
    "no_agreement": "",
    "sad": "sadness",
    "surprised": "surprise",
    "unknown": "",
} | {emotion: emotion for emotion in EMOTIONS}
SEXES = ("female", "male", "other")
HEADER = "db.yaml"
STORED = ("parquet", "csv")  # how a table may be stored; never as pickle

Key = tuple[str, float | None, float | None]  # file, start, end; None: those of the file


def read(folder: Path) -> pd.DataFrame:
    """Return one row per labelled file or segment, in the order of the tables.

    Raises:
        UserError: if the header or a table cannot be read, two tables contradict each other, or nothing is labelled
    """
    database = _load(folder)
    print(f"audformat: {database.name}, licence {database.license or 'unknown'}")
    known = {name: _values(database, folder, name) for name in SCHEMES}
    keys = dict.fromkeys(key for column in ("emotion", *DIMENSIONS) for key in known[column])
    if not keys:
        raise UserError(
            f"{folder / HEADER}: no table has a scheme or column named emotion, valence, arousal or dominance with a "
            f"value; its schemes are {', '.join(database.schemes) or 'none'}"
        )
    divided = {key[0] for key in keys if key != _whole(key)}
    kept = [key for key in keys if key != _whole(key) or key[0] not in divided]
    _report_unknown_emotions(known["emotion"].get(key) for key in kept)
    known["split"] = _sets(database, folder)
    shared = {"language": _language(database.languages), "corpus": database.name}
    rows = [shared | _row(database.name, folder, key, known) for key in kept]
    return tables.check(rows, Utterance, f"audformat in {folder}")


def _load(folder: Path) -> audformat.Database:
    import audformat  # takes a second, so only where it is needed

    path = folder / HEADER
    if not path.is_file():
        raise UserError(f"{path}: no such file; name the folder that holds the database's {HEADER}")
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


def _values(database: audformat.Database, folder: Path, name: str) -> dict[Key, Any]:
    """Return the values of a column of the manifest, as far as the database knows them."""
    values: dict[Key, Any] = {}
    for table, scheme, series in _columns(database, SCHEMES[name]):
        where = f"{folder / f'db.{table}'}: {series.name}"
        _add(values, _entries(_on_scale(series, scheme, where) if name in DIMENSIONS else series), where)
    return values


def _columns(
    database: audformat.Database, names: tuple[str, ...]
) -> Iterator[tuple[str, audformat.Scheme | None, pd.Series]]:
    """Yield the columns with such a scheme, name or label field: table, scheme, values."""
    own = [name for name in names if name in database.tables]
    for table in own or database.tables:
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
                f"{where}: {value!r} for {key[0]}, which another table or rater calls {values[key]!r}; save the "
                "ratings that count in a table of their own, named after the scheme"
            )


def _whole(key: Key) -> Key:
    return key[0], None, None


def _on_scale(series: pd.Series, scheme: audformat.Scheme | None, where: str) -> pd.Series:
    low, high = (scheme.minimum, scheme.maximum) if scheme else (None, None)
    if low is None or high is None or low >= high:
        print(f"{where} left out: its scheme does not give the minimum and maximum of the scale")
        return series.iloc[:0]
    if (low, high) != (1, 5):
        print(f"{where} mapped linearly from the scale of {low} to {high} to that of 1 to 5")
    return (1 + 4 * (series.astype(float) - low) / (high - low)).round(6)


def _sets(database: audformat.Database, folder: Path) -> dict[Key, str]:
    sets: dict[Key, str] = {}
    for name, table in database.tables.items():
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


def _row(name: str, folder: Path, key: Key, known: dict[str, dict[Key, Any]]) -> dict[str, Any]:
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
        "sex": of_file["sex"] if of_file["sex"] in SEXES else "",
        "session": str(of_file["session"]),
        "split": of_file["split"],
        "path": str(folder / file),
        "start": math.nan if start is None else start,
        "end": math.nan if end is None else end,
        "emotion": MEANINGS.get(str(own["emotion"]).lower(), ""),
        **{dimension: own[dimension] for dimension in DIMENSIONS},
        "transcript": own["transcript"] or "",
    }


def _report_unknown_emotions(labels: Iterable[Any]) -> None:
    unknown = Counter(str(label) for label in labels if label is not None and str(label).lower() not in MEANINGS)
    for label, count in sorted(unknown.items()):
        print(f"audformat: {count} utterances of {label!r}, which is no emotion here, are left without one")


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
