"""MELD, its text: 13,708 utterances from dialogues of the television series Friends, seven emotions.

Layout: ``train_sent_emo.csv``, ``dev_sent_emo.csv``, ``test_sent_emo.csv``, wherever in the folder; of their columns
Utterance, Speaker, Emotion, Dialogue_ID and Utterance_ID are read. The file of a row is its official split.

Labels: joy becomes happiness; anger, disgust, fear, neutral, sadness and surprise keep their names.

Licence: GPL-3.0 (the repository); the series belongs to its owners. Citation: see ``CORPUS``.

Traps:

* Dialogue and utterance numbers begin anew in each file, so the split is part of an utterance's name.
* The official sets share the speakers of the series. Whoever splits officially must let speakers
  cross, and who wants unseen speakers cannot use the official sets.
* Early copies hold Windows-1252 punctuation as control characters (U+0092 for ’); these are put right. The
  present files have none. Copies that a program read as Windows-1252 and stored as UTF-8 hold â€™ for it; where a
  text is UTF-8 read so, it is put right, too, with a notice.
* Speakers such as ``Joey/Drake`` hold a slash, which an identifier must not; it becomes a hyphen.
* The words are those of the subtitles. The video clips, and so the audio, are not read.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emopipe.corpora.corpus import Corpus
from emopipe.corpora.folders import Scheme, find
from emopipe.corpora.sources import read_columns
from emopipe.downloads.release import File, Files, Release
from emopipe.io.errors import UserError
from emopipe.schemas import tables
from emopipe.schemas.labels import WORDS, meaning
from emopipe.schemas.manifest import SETS, Utterance
from emopipe.schemas.notices import notice

REPOSITORY = "https://raw.githubusercontent.com/declare-lab/MELD"
PUBLISHED = {  # of each file: the commit that last changed it, size, sha256
    "train_sent_emo.csv": (
        "ca3e1266db4cc4a4e802156e2f721c4cd114a696",
        1_119_290,
        "d2fa2d6529cf03cac2989efec05c9b27d8fd2f4c8fc5974c7ae88aa537fa02db",
    ),
    "dev_sent_emo.csv": (
        "ca3e1266db4cc4a4e802156e2f721c4cd114a696",
        121_640,
        "2e89c6f8aa182d6f62f8c6331aece905ac7273ca4999660bfb5213e1d0370c1c",
    ),
    "test_sent_emo.csv": (
        "76e4ed20032322e47bbe04d3b5179f9b2e35bec9",
        294_526,
        "8d37103938f7067600839fe29d5a114a6cd1bcdafb75bec101e06464c5006888",
    ),
}
TABLES = Scheme("meld", r"(train|dev|test)_sent_emo", "train_sent_emo.csv", suffixes=(".csv",))
COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")

# Control character -> the Windows-1252 character of the same number; the five that have none are dropped.
PUNCTUATION = {code: bytes([code]).decode("cp1252", errors="ignore") for code in range(0x80, 0xA0)}


def read(folder: Path) -> pd.DataFrame:
    """Return one row per utterance: train, dev, test, each in the order of its file."""
    found = {match[1].lower(): path for path, match in find(folder, TABLES)}
    if missing := [f"{split}_sent_emo.csv" for split in SETS if split not in found]:
        raise UserError(f"{folder / missing[0]}: no such file, here or below; the corpus is {CORPUS.layout}")
    return pd.concat([_read_split(found[split], split) for split in SETS], ignore_index=True)


def _read_split(path: Path, split: str) -> pd.DataFrame:
    cells = read_columns(path, COLUMNS)
    mended = cells["Utterance"].map(_decoded_once)
    changed = mended != cells["Utterance"]
    what = "put right: UTF-8 that was read as Windows-1252"
    notice("meld", int(changed.sum()), "texts", what, len(cells), next(iter(cells["Utterance"][changed]), ""))
    dialogue = f"{split}_dia" + cells["Dialogue_ID"]
    speaker = cells["Speaker"].str.translate(PUNCTUATION).str.strip().str.replace("/", "-")
    rows = pd.DataFrame(
        {
            "utterance": "meld/" + dialogue + "_utt" + cells["Utterance_ID"],
            "corpus": "meld",
            "speaker": ("meld/" + speaker).where(speaker != "", ""),
            "session": dialogue,
            "language": "en",
            "emotion": cells["Emotion"].map(_emotion),
            "transcript": mended.str.translate(PUNCTUATION),
            "split": split,
        }
    )
    return tables.check(rows, Utterance, str(path), first=2)


def _decoded_once(text: str) -> str:
    """Return a text as it was before somebody read its UTF-8 as Windows-1252; another one as it is.

    >>> _decoded_once("heâ€™s"), _decoded_once("It’s Zoë’s café."), _decoded_once("Â£5")
    ('he’s', 'It’s Zoë’s café.', '£5')
    """
    try:
        return text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return text


def _emotion(word: str) -> str:
    """Return the emotion of a word; an unknown one stays as it is, for the check to name it."""
    found = meaning(word, WORDS)
    return word if found is None else found


def release() -> Release:
    """Return the three files, each at the commit that last changed it or else at the newest one."""
    files = [
        File(name, tuple(f"{REPOSITORY}/{at}/data/MELD/{name}" for at in (commit, "master")), size, f"sha256:{sha256}")
        for name, (commit, size, sha256) in PUBLISHED.items()
    ]
    return Release(
        checksums={name: sha256 for name, (_, _, sha256) in PUBLISHED.items()},
        size=sum(size for _, size, _ in PUBLISHED.values()),
        sources=(Files(tuple(files)),),
    )


CORPUS = Corpus(
    key="meld",
    title="Multimodal EmotionLines Dataset (MELD), text",
    size="13,708 utterances of a television series, English, official split; text alone",
    labels=("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    branch="text",
    licence="GPL-3.0",
    citation=(
        "S. Poria, D. Hazarika, N. Majumder, G. Naik, E. Cambria, R. Mihalcea: MELD: A Multimodal Multi-Party Dataset "
        "for Emotion Recognition in Conversations. ACL 2019"
    ),
    source="https://github.com/declare-lab/MELD (data/MELD)",
    layout="train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv",
    read=read,
    release=release,
)
