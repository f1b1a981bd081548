"""EmoBank: 10,062 English sentences of several genres with valence, arousal and dominance.

Layout: ``emobank.csv``, wherever in the folder, with the columns id, split, V, A, D, text (the weighted average of the
readers' and the writers' perspective).

Labels: V, A, D are means of ratings on the 1..5 scale of the self-assessment manikins, taken as they are. There are no
emotion classes, speakers or recordings. ``split`` is the corpus's own partition.

Licence: CC BY-SA 4.0. Citation: see ``CORPUS``.

Traps: 156 texts repeat, 18 test texts stand in train too (the split stage sees to that). Seven texts are bare
punctuation; they are kept, since their ratings are part of the published figures. Quotation marks within a text
are often unpaired.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emopipe.corpora.corpus import Corpus
from emopipe.corpora.folders import Scheme, find
from emopipe.corpora.sources import read_columns
from emopipe.downloads.release import File, Files, Release
from emopipe.schemas import tables
from emopipe.schemas.manifest import DIMENSIONS, Utterance

REPOSITORY = "https://raw.githubusercontent.com/JULIELab/EmoBank"
PATHS = ("6d272ffd01ea31ee8f528c012431dc16f2a5f589/corpus/emobank.csv", "master/corpus/emobank.csv")
TABLE = Scheme("emobank", "emobank", "emobank.csv", suffixes=(".csv",))
SIZE = 1_335_010
SHA256 = "1ade4a4a453e880c0f39d0536d2b355e8a716e0cf88236c64cdb4d438cf9605b"


def read(folder: Path) -> pd.DataFrame:
    """Return one row per sentence, in the order of the file."""
    ((path, _),) = find(folder, TABLE)
    cells = read_columns(path, ("id", "split", "V", "A", "D", "text"))
    names = {"id": "utterance", "V": "valence", "A": "arousal", "D": "dominance", "text": "transcript"}
    rows = cells.rename(columns=names).assign(corpus="emobank", language="en", utterance="emobank/" + cells["id"])
    return tables.check(rows, Utterance, str(path), first=2)


def release() -> Release:
    """Return the one file, at the commit that last changed it or else at the newest one."""
    file = File("emobank.csv", tuple(f"{REPOSITORY}/{path}" for path in PATHS), SIZE, f"sha256:{SHA256}")
    return Release(checksums={"emobank.csv": SHA256}, size=SIZE, sources=(Files((file,)),))


CORPUS = Corpus(
    key="emobank",
    title="EmoBank",
    size="10,062 sentences, English, official split; text alone",
    labels=DIMENSIONS,
    branch="text",
    licence="CC BY-SA 4.0",
    citation=(
        "S. Buechel, U. Hahn: EmoBank: Studying the Impact of Annotation Perspective and Representation Format on "
        "Dimensional Emotion Analysis. EACL 2017"
    ),
    source="https://github.com/JULIELab/EmoBank (corpus/emobank.csv)",
    layout="emobank.csv",
    read=read,
    release=release,
)
