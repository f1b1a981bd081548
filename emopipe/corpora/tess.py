"""TESS: two women say "Say the word ..." with 200 words in seven emotions, 2,800 recordings.

Layout: ``OAF_angry/OAF_back_angry.wav``, wherever in the folder, each named speaker, word, emotion. OAF is the older
actress (64), YAF the younger one (26).

Labels: angry (anger), disgust, fear, happy (happiness), neutral, ps (pleasant surprise: surprise), sad (sadness). They
are read from the file's name: the folders are named in several ways, ``OAF_Fear``, ``YAF_pleasant_surprised``.

Licence: CC BY-NC-ND 4.0. Citation: see ``CORPUS``.

Traps: two speakers cannot be divided into train, dev and test: beside another corpus both are trained on; alone there
is ``split.audio.strategy: random``, which says nothing about unseen speakers. One file is misnamed
``OA_bite_neutral.wav``; it is the older actress's. Some copies hold the whole corpus twice, one inside the other: each
recording is read once. The carrier sentence says nothing about the emotion: it is a prompt and no transcript.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.corpora.corpus import Corpus
from emopipe.corpora.folders import Scheme, find_recordings
from emopipe.schemas import tables
from emopipe.schemas.labels import WORDS
from emopipe.schemas.manifest import Utterance

CODES = ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
RECORDINGS = Scheme("tess", rf"([OY])AF?_([^/]+)_({'|'.join(CODES)})", "like OAF_back_angry.wav", part="[OY]AF_.+")


def read(folder: Path) -> pd.DataFrame:
    """Return one row per recording, in the order of folders and names."""
    rows = [_row(path, *match.groups()) for path, match in find_recordings(folder, RECORDINGS)]
    return tables.check(rows, Utterance, f"tess in {folder}")


def _row(path: Path, speaker: str, word: str, code: str) -> dict[str, Any]:
    speaker, word, code = speaker.upper(), word.lower(), code.lower()
    return {
        "utterance": f"tess/{speaker}AF_{word}_{code}",
        "corpus": "tess",
        "speaker": f"tess/{speaker}AF",
        "sex": "female",
        "language": "en",
        "path": str(path),
        "emotion": WORDS[code],
        "prompt": f"Say the word {word}",
    }


CORPUS = Corpus(
    key="tess",
    title="Toronto Emotional Speech Set (TESS)",
    size="2,800 recordings of 2 speakers, English, acted",
    labels=tuple(WORDS[code] for code in CODES),
    branch="audio",
    licence="CC BY-NC-ND 4.0",
    citation="M. K. Pichora-Fuller, K. Dupuis: Toronto emotional speech set (TESS). Borealis, 2020",
    source="https://doi.org/10.5683/SP2/E8H2MF",
    layout="OAF_angry/OAF_back_angry.wav, ...",
    read=read,
)
