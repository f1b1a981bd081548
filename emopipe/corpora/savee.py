"""SAVEE: four men read British English sentences in seven emotions, 480 recordings.

Layout: ``AudioData/DC/a01.wav`` as published, or ``DC_a01.wav``, wherever in the folder, 44.1 kHz, each named emotion
and number of the sentence. The speakers are DC, JE, JK and KL.

Labels: a anger, d disgust, f fear, h happiness, n neutral, sa sadness, su surprise.

Licence: free for research. Citation: see ``CORPUS``.

Traps: four speakers, all men: a test set is one of them. Sentences are drawn from TIMIT; which number is which sentence
differs between emotions, and some were chosen to suit their emotion, so a model may hear the words. Neutral is twice as
frequent as each other emotion.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.corpora.corpus import Corpus
from emopipe.corpora.folders import Scheme, find_recordings
from emopipe.schemas import tables
from emopipe.schemas.manifest import Utterance

EMOTIONS = {
    "a": "anger",
    "d": "disgust",
    "f": "fear",
    "h": "happiness",
    "n": "neutral",
    "sa": "sadness",
    "su": "surprise",
}
SPEAKERS = ("DC", "JE", "JK", "KL")
RECORDINGS = Scheme(
    "savee",
    rf"({'|'.join(SPEAKERS)})[/_]({'|'.join(EMOTIONS)})(\d\d)",
    f"like DC/a01.wav or DC_a01.wav, of one of the speakers {', '.join(SPEAKERS)}",
    part="|".join(SPEAKERS),
)


def read(folder: Path) -> pd.DataFrame:
    """Return one row per recording, in the order of speakers and names."""
    rows = [_row(path, *match.groups()) for path, match in find_recordings(folder, RECORDINGS)]
    return tables.check(rows, Utterance, f"savee in {folder}")


def _row(path: Path, speaker: str, emotion: str, number: str) -> dict[str, Any]:
    speaker, emotion = speaker.upper(), emotion.lower()
    return {
        "utterance": f"savee/{speaker}_{emotion}{number}",
        "corpus": "savee",
        "speaker": f"savee/{speaker}",
        "sex": "male",
        "language": "en",
        "path": str(path),
        "emotion": EMOTIONS[emotion],
    }


CORPUS = Corpus(
    key="savee",
    title="Surrey Audio-Visual Expressed Emotion database (SAVEE)",
    size="480 recordings of 4 speakers, British English, acted",
    labels=tuple(EMOTIONS.values()),
    branch="audio",
    licence="free for research, on registration",
    citation=(
        "S. Haq, P. J. B. Jackson: Multimodal Emotion Recognition. In W. Wang (ed.): Machine Audition: Principles, "
        "Algorithms and Systems. IGI Global, 2010"
    ),
    source="http://kahlan.eps.surrey.ac.uk/savee",
    layout="AudioData/DC/a01.wav, ... or DC_a01.wav, ... in one folder",
    read=read,
)
