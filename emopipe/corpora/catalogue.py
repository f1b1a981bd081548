"""The corpora by name: ``synthetic``, ``KEY``, ``KEY:FOLDER``, or a manifest of the user's own, ``my.csv``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from emopipe.corpora import (
    audformat_database,
    crema_d,
    emobank,
    emodb,
    iemocap,
    meld,
    msp_podcast,
    own_manifest,
    ravdess,
    savee,
    synthetic,
    tess,
)
from emopipe.corpora.corpus import Corpus
from emopipe.corpora.folders import NothingFoundError
from emopipe.corpora.parameters import Synthetic
from emopipe.io.errors import UserError
from emopipe.io.paths import workspace_hint
from emopipe.schemas import tables
from emopipe.schemas.labels import WORDS
from emopipe.schemas.manifest import Utterance
from emopipe.schemas.notices import notice

READERS = (crema_d, emobank, emodb, iemocap, meld, msp_podcast, ravdess, savee, tess, audformat_database)
CORPORA: dict[str, Corpus] = {module.CORPUS.key: module.CORPUS for module in READERS}
# What else stands in a path than letters of English, digits and /._- is syntax to DVC's --set-param.
QUOTING = """; on the command line quote a path twice: -S 'data.audio.corpora=["emodb:/data/archive (1)"]'"""
AUDIO, TEXT = "data.audio.corpora", "data.text.corpora"


def read_branches(
    audio: Sequence[str],
    text: Sequence[str],
    settings: Synthetic,
    made: Path,
    words: Mapping[str, str] = WORDS,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the corpora of both branches, each corpus once.

    Args:
        audio: names of the audio branch's corpora
        text: names of the text branch's corpora
        settings: of the synthetic corpus
        made: folder for the audio of the synthetic corpus, where the audio branch lists it
        words: the emotion of each word for one, in tables of the user's own and databases in audformat

    Returns:
        of the audio corpora the utterances with audio, and of the text corpora those with a transcript, as checked
        tables of :class:`emopipe.schemas.manifest.Utterance`

    Raises:
        UserError: if a name is unknown, a folder is absent or not as published, a corpus is listed twice in a branch,
            or has nothing that its branch could use
    """
    for parameter, names in ((AUDIO, audio), (TEXT, text)):
        _check_listed_once(parameter, names)
    corpora: dict[str, pd.DataFrame] = {}
    with TemporaryDirectory() as scratch:
        folder = made if "synthetic" in audio else Path(scratch)  # the text branch alone needs no audio
        for parameter, names in ((AUDIO, audio), (TEXT, text)):
            for name in names:
                if name not in corpora:
                    corpora[name] = read_corpus(name, parameter, settings, folder, words)
    with_audio = [_usable(corpora[name], "path", "audio", f"{AUDIO}: {name}") for name in audio]
    with_words = [_usable(corpora[name], "transcript", "a transcript", f"{TEXT}: {name}") for name in text]
    return _joined(with_audio), _joined(with_words)


def read_corpus(
    name: str, parameter: str, settings: Synthetic, made: Path, words: Mapping[str, str] = WORDS
) -> pd.DataFrame:
    """Read one corpus, as a checked table of :class:`emopipe.schemas.manifest.Utterance`.

    Args:
        name: ``synthetic``, ``KEY`` of a corpus that is downloaded, ``KEY:FOLDER`` or a CSV file
        parameter: key of the parameter that lists the name, for messages
        settings: of the synthetic corpus
        made: folder for the audio of the synthetic corpus
        words: the emotion of each word for one

    Raises:
        UserError: if the name is unknown, the folder is absent, empty or not as published, or the corpus is not
            available for download
    """
    key, colon, folder = name.partition(":")
    if name == "synthetic":
        return synthetic.make(made, settings)
    if key in CORPORA:
        corpus = CORPORA[key]
        if key == audformat_database.CORPUS.key:
            folder, tables_of = _database(folder)
            rows = _in_folder(corpus, folder, parameter, lambda path: audformat_database.read(path, tables_of, words))
        elif corpus.release is not None and not colon:
            rows = corpus.read(_downloaded(corpus, parameter))
        else:
            rows = _in_folder(corpus, folder, parameter, corpus.read)
    elif _is_manifest(name):
        rows = own_manifest.read(_existing(name, parameter), words)
    else:
        raise UserError(
            f"{parameter}: {name}: unknown corpus, neither a key nor a CSV; known are synthetic (made on the spot), "
            f"{', '.join(CORPORA)} (as KEY:FOLDER, some as KEY alone), and a manifest of your own, a file whose name "
            f"ends in .csv. A comma divides two of them, within a path too{QUOTING}"
        )
    if rows.empty:
        raise UserError(f"{parameter}: {name}: no utterance; expected one row per utterance")
    return rows


def _in_folder(corpus: Corpus, folder: str, parameter: str, read: Callable[[Path], pd.DataFrame]) -> pd.DataFrame:
    """Read a corpus from the folder that a user names; where it is not there, say where near it there is one."""
    try:
        return read(_folder(corpus, folder, parameter))
    except NothingFoundError as error:
        near = f"; {error.near} holds some: {parameter}=[{corpus.key}:{error.near}]" if error.near else ""
        raise UserError(f"{parameter}: {error}{near}; expected: {corpus.layout}") from None


def _database(name: str) -> tuple[str, str]:
    """Return the folder of a database, and how the names of the tables begin that count: ``FOLDER:TABLES``."""
    folder, colon, tables_of = name.rpartition(":")
    return (folder, tables_of) if colon and not Path(name).expanduser().is_dir() else (name, "")


def _downloaded(corpus: Corpus, parameter: str) -> Path:
    from emopipe.downloads.cache import UnavailableError, fetch_corpus  # with requests, which few runs need

    try:
        return fetch_corpus(corpus.key, corpus.release())
    except UnavailableError as error:
        raise UserError(
            f"{parameter}: {corpus.key}: {error}, or name the folder of the corpus: "
            f"{parameter}=[{corpus.key}:/path/to/{corpus.key}], a folder that holds {corpus.layout}"
        ) from None


def _folder(corpus: Corpus, name: str, parameter: str) -> Path:
    if not name:
        raise UserError(
            f"{parameter}: {corpus.key}: name its folder: {parameter}=[{corpus.key}:/path/to/{corpus.key}]. "
            f"{corpus.title}, licence {corpus.licence}, is available from {corpus.source}; the folder holds "
            f"{corpus.layout}"
        )
    path = _existing(name, parameter)
    if not path.is_dir():
        raise UserError(f"{parameter}: {name}: not a folder; name the folder that holds {corpus.layout}")
    return path


def _is_manifest(name: str) -> bool:
    return name.lower().endswith(".csv")


def _check_listed_once(parameter: str, names: Sequence[str]) -> None:
    identities = [_identity(name) for name in names]
    for position, identity in enumerate(identities):
        if identity in identities[:position]:
            raise UserError(f"{parameter}: {names[position]}: this corpus is listed twice")


def _identity(name: str) -> str:
    """Return what is equal for two names of one corpus; of audformat every folder is a corpus of its own."""
    key, _, folder = name.partition(":")
    path = ""
    if key == audformat_database.CORPUS.key:
        path, _ = _database(folder)
    elif _is_manifest(name):
        path = name
    return str(Path(path).expanduser().resolve()) if path else key


def _existing(name: str, parameter: str) -> Path:
    path = Path(name).expanduser()
    if path.exists():
        return path
    raise UserError(f"{parameter}: {name}: no such file or folder{workspace_hint(path)}{QUOTING}")


def _usable(rows: pd.DataFrame, column: str, words: str, name: str) -> pd.DataFrame:
    """Return the rows with something in ``column``, with a notice of how many are left out."""
    usable = rows[rows[column] != ""]
    if usable.empty:
        other = TEXT if column == "path" else AUDIO
        raise UserError(f"{name}: no utterance of this corpus has {words}; it can only be listed in {other}")
    notice(name, len(rows) - len(usable), "utterances", f"without {words} left out", len(rows))
    return usable


def _joined(corpora: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(corpora, ignore_index=True) if corpora else tables.check((), Utterance, "no corpora")
