"""The corpora by name: ``synthetic``, ``KEY``, ``KEY:FOLDER``, or a manifest of the user's own, ``my.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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
from emopipe.corpora.parameters import Synthetic
from emopipe.io.errors import UserError
from emopipe.io.paths import workspace_hint

Rows = list[dict[str, Any]]

READERS = (crema_d, emobank, emodb, iemocap, meld, msp_podcast, ravdess, savee, tess, audformat_database)
CORPORA: dict[str, Corpus] = {module.CORPUS.key: module.CORPUS for module in READERS}
AUDIO, TEXT = "data.audio.corpora", "data.text.corpora"


def read_branches(audio: Sequence[str], text: Sequence[str], settings: Synthetic, made: Path) -> tuple[Rows, Rows]:
    """Read the corpora of both branches, each corpus once.

    Args:
        audio: names of the corpora that are heard
        text: names of the corpora that are read
        settings: of the synthetic corpus
        made: folder for the audio of the synthetic corpus, where the audio branch asks for it

    Returns:
        the rows with audio of the audio corpora, and the rows with words of the text corpora

    Raises:
        UserError: if a name means nothing, a folder is not there or not as published, a corpus is listed
            twice in a branch, or has nothing that its branch could use
    """
    for parameter, names in ((AUDIO, audio), (TEXT, text)):
        _refuse_twice(parameter, names)
    corpora: dict[str, Rows] = {}
    with TemporaryDirectory() as scratch:
        folder = made if "synthetic" in audio else Path(scratch)  # the text branch alone needs no audio
        for parameter, names in ((AUDIO, audio), (TEXT, text)):
            for name in names:
                if name not in corpora:
                    corpora[name] = read_corpus(name, parameter, settings, folder)
    heard = [row for name in audio for row in _having("path", "audio", corpora[name], f"{AUDIO}: {name}")]
    read = [row for name in text for row in _having("transcript", "a transcript", corpora[name], f"{TEXT}: {name}")]
    return heard, read


def read_corpus(name: str, parameter: str, settings: Synthetic, made: Path) -> Rows:
    """Read one corpus.

    Args:
        name: ``synthetic``, ``KEY`` of a corpus that is downloaded, ``KEY:FOLDER`` or a CSV file
        parameter: key of the parameter that lists the name, for messages
        settings: of the synthetic corpus
        made: folder for the audio of the synthetic corpus

    Raises:
        UserError: if the name means nothing, the folder is not there, empty or not as published, or the corpus is
            to be downloaded and cannot be had
    """
    key, colon, folder = name.partition(":")
    if name == "synthetic":
        return synthetic.make(made, settings)
    if key in CORPORA:
        corpus = CORPORA[key]
        download = corpus.downloads is not None and not colon
        path = _downloaded(corpus, parameter) if download else _folder(corpus, folder, parameter)
        where, layout = path, corpus.layout
        rows = corpus.read(path)
    elif _is_manifest(name):
        where, layout = name, "one row per utterance"
        rows = own_manifest.read(_existing(name, parameter))
    else:
        raise UserError(
            f"{parameter}: {name}: unknown corpus; known are synthetic (made on the spot), {', '.join(CORPORA)} "
            "(as KEY:FOLDER, some as KEY alone), and a manifest of your own, a file whose name ends in .csv"
        )
    if not rows:
        raise UserError(f"{parameter}: no utterance found under {where}; expected: {layout}")
    return rows


def _downloaded(corpus: Corpus, parameter: str) -> Path:
    from emopipe.downloads.obtaining import UnavailableError, obtain

    try:
        return obtain(corpus.key, corpus.downloads)
    except UnavailableError as error:
        raise UserError(
            f"{parameter}: {corpus.key}: {error}, or say where the corpus lies: "
            f"{parameter}=[{corpus.key}:/path/to/{corpus.key}], a folder that holds {corpus.layout}"
        ) from None


def _folder(corpus: Corpus, name: str, parameter: str) -> Path:
    if not name:
        raise UserError(
            f"{parameter}: {corpus.key}: say where it lies: {parameter}=[{corpus.key}:/path/to/{corpus.key}]. "
            f"{corpus.title}, licence {corpus.licence}, is to be had from {corpus.source}; the folder holds "
            f"{corpus.layout}"
        )
    path = _existing(name, parameter)
    if not path.is_dir():
        raise UserError(f"{parameter}: {name}: not a folder; name the folder that holds {corpus.layout}")
    return path


def _is_manifest(name: str) -> bool:
    return name.lower().endswith(".csv")


def _refuse_twice(parameter: str, names: Sequence[str]) -> None:
    identities = [_identity(name) for name in names]
    for position, identity in enumerate(identities):
        if identity in identities[:position]:
            raise UserError(f"{parameter}: {names[position]}: this corpus is listed twice")


def _identity(name: str) -> str:
    """Return what two names of one corpus have in common; audformat stands for as many as there are folders."""
    key, _, folder = name.partition(":")
    path = folder if key == audformat_database.CORPUS.key else name if _is_manifest(name) else ""
    return str(Path(path).expanduser().resolve()) if path else key


def _existing(name: str, parameter: str) -> Path:
    path = Path(name).expanduser()
    if path.exists():
        return path
    raise UserError(f"{parameter}: {name}: no such file or folder{workspace_hint(path)}")


def _having(column: str, words: str, rows: Rows, name: str) -> Rows:
    usable = [row for row in rows if row.get(column)]
    if not usable:
        other = TEXT if column == "path" else AUDIO
        raise UserError(f"{name}: no utterance of this corpus has {words}; it can only stand in {other}")
    if len(usable) < len(rows):
        print(f"{name}: {len(rows) - len(usable)} of {len(rows)} utterances without {words} left out")
    return usable
