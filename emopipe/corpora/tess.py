"""TESS: two women say "Say the word ..." with 200 words in seven emotions, 2,800 recordings.

Layout: ``OAF_angry/OAF_back_angry.wav`` (or the same below ``TESS Toronto emotional speech set data``, or all files
directly in the folder), each named speaker, word, emotion. OAF is the older actress (64), YAF the younger one (26).

Labels: angry (anger), disgust, fear, happy (happiness), neutral, ps (pleasant surprise: surprise), sad (sadness). They
are read from the file's name: the folders are named in several ways, ``OAF_Fear``, ``YAF_pleasant_surprised``.

Licence: CC BY-NC-ND 4.0. Citation: see ``CORPUS``.

Traps: two speakers cannot be divided into train, dev and test: beside another corpus both are trained on; alone there
is ``split.audio.strategy: random``, which says nothing about unseen speakers. One file is misnamed
``OA_bite_neutral.wav``; it is the older actress's. Some copies hold the whole corpus twice, one inside the other: one
is read. The carrier sentence says nothing about the emotion: it is a prompt and no transcript.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.corpora.corpus import Corpus
from emopipe.corpora.sources import inner, match_names
from emopipe.schemas import tables
from emopipe.schemas.manifest import Utterance

EMOTIONS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "ps": "surprise",
    "sad": "sadness",
}
NAME = re.compile(rf"([OY])AF?_(.+)_({'|'.join(EMOTIONS)})")


def read(folder: Path) -> pd.DataFrame:
    """Return one row per recording, in the order of folders and names."""
    root = inner(folder, "TESS Toronto emotional speech set data")
    files = list(root.glob("[OY]AF_*/*.wav")) or root.glob("*.wav")
    rows = [_row(path, *match.groups()) for path, match in match_names(files, NAME, "like OAF_back_angry.wav")]
    return tables.check(rows, Utterance, f"tess in {folder}")


def _row(path: Path, speaker: str, word: str, emotion: str) -> dict[str, Any]:
    return {
        "utterance": f"tess/{path.stem}",
        "corpus": "tess",
        "speaker": f"tess/{speaker}AF",
        "sex": "female",
        "language": "en",
        "path": str(path),
        "emotion": EMOTIONS[emotion],
        "prompt": f"Say the word {word}",
    }


CORPUS = Corpus(
    key="tess",
    title="Toronto Emotional Speech Set (TESS)",
    size="2,800 recordings of 2 speakers, English, acted",
    labels=tuple(EMOTIONS.values()),
    branch="audio",
    licence="CC BY-NC-ND 4.0",
    citation="M. K. Pichora-Fuller, K. Dupuis: Toronto emotional speech set (TESS). Borealis, 2020",
    source="https://doi.org/10.5683/SP2/E8H2MF",
    layout=(
        "OAF_angry/OAF_back_angry.wav, ... (or the same below 'TESS Toronto emotional speech set data', or all files "
        "in one folder)"
    ),
    read=read,
)
