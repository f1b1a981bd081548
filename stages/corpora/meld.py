"""MELD, its text: 13,708 utterances from dialogues of the television series Friends, seven emotions.

Layout: ``train_sent_emo.csv``, ``dev_sent_emo.csv``, ``test_sent_emo.csv``; of their columns Utterance, Speaker,
Emotion, Dialogue_ID and Utterance_ID are read. Which file a row stands in is its official split.

Labels: joy becomes happiness; anger, disgust, fear, neutral, sadness and surprise keep their names.

Licence: GPL-3.0 (the repository); the series belongs to its owners. Citation: see ``CORPUS``.

Traps:

* Dialogue and utterance numbers begin anew in each file, so the split is part of an utterance's name.
* The official sets share the speakers of the series. Whoever splits officially must let speakers
  cross, and who wants unseen speakers cannot use the official sets.
* Early copies hold Windows-1252 punctuation as control characters (U+0092 for ’); these are put right. The
  present files have none.
* Speakers such as ``Joey/Drake`` hold a slash, which an identifier must not; it becomes a hyphen.
* The words are those of the subtitles. The video clips, and so the audio, are not read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stages.contracts import tables
from stages.contracts.manifest import SETS, Utterance
from stages.corpora.corpus import Corpus
from stages.corpora.sources import read_columns

COLUMNS = ("Utterance", "Speaker", "Emotion", "Dialogue_ID", "Utterance_ID")

# Control character -> the Windows-1252 character of the same number; the five that have none are dropped.
PUNCTUATION = {code: bytes([code]).decode("cp1252", errors="ignore") for code in range(0x80, 0xA0)}


def read(folder: Path) -> list[dict[str, Any]]:
    """Return one row per utterance: train, dev, test, each in the order of its file."""
    return [row for split in SETS for row in _read_split(folder / f"{split}_sent_emo.csv", split)]


def _read_split(path: Path, split: str) -> list[dict[str, Any]]:
    rows = []
    for row in read_columns(path, COLUMNS).to_dict("records"):
        dialogue = f"{split}_dia{row['Dialogue_ID']}"
        speaker = row["Speaker"].translate(PUNCTUATION).strip().replace("/", "-")
        rows.append(
            {
                "utterance": f"meld/{dialogue}_utt{row['Utterance_ID']}",
                "corpus": "meld",
                "speaker": f"meld/{speaker}" if speaker else "",
                "session": dialogue,
                "language": "en",
                "emotion": "happiness" if row["Emotion"] == "joy" else row["Emotion"],
                "transcript": row["Utterance"].translate(PUNCTUATION),
                "split": split,
            }
        )
    # Checked here too, where the row number is that of the file the user knows.
    return tables.check(rows, Utterance, str(path), first=2).to_dict("records")


CORPUS = Corpus(
    key="meld",
    title="Multimodal EmotionLines Dataset (MELD), text",
    size="13,708 utterances of a television series, English, official split; text alone",
    labels=("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    licence="GPL-3.0",
    citation=(
        "S. Poria, D. Hazarika, N. Majumder, G. Naik, E. Cambria, R. Mihalcea: MELD: A Multimodal Multi-Party Dataset "
        "for Emotion Recognition in Conversations. ACL 2019"
    ),
    source="https://github.com/declare-lab/MELD (data/MELD)",
    layout="train_sent_emo.csv, dev_sent_emo.csv, test_sent_emo.csv",
    read=read,
)
