"""SAVEE: four men read British English sentences in seven emotions, 480 recordings.

Layout: ``AudioData/DC/a01.wav`` as published, or ``DC_a01.wav`` in one folder (``ALL``), 44.1 kHz, each named emotion
and number of the sentence. The speakers are DC, JE, JK and KL.

Labels: a anger, d disgust, f fear, h happiness, n neutral, sa sadness, su surprise.

Licence: free for research. Citation: see ``CORPUS``.

Traps: four speakers, all men: a test set is one of them. Sentences are drawn from TIMIT; which number is which sentence
differs between emotions, and some were chosen to suit their emotion, so a model may hear the words. Neutral is twice as
frequent as each other emotion.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.corpora.corpus import Corpus
from emopipe.corpora.sources import inner, match_names
from emopipe.io.errors import UserError
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
NAME = re.compile(rf"(?:({'|'.join(SPEAKERS)})_)?({'|'.join(EMOTIONS)})(\d\d)")


def read(folder: Path) -> pd.DataFrame:
    """Return one row per recording, in the order of speakers and names.

    Raises:
        UserError: if neither the name nor the folder of a file says who speaks
    """
    root = inner(inner(folder, "AudioData"), "ALL")
    files = [file for speaker in SPEAKERS for file in (root / speaker).glob("*.wav")] or root.glob("*.wav")
    matches = match_names(files, NAME, "like DC_a01.wav or DC/a01.wav")
    return tables.check([_row(path, *match.groups()) for path, match in matches], Utterance, f"savee in {folder}")


def _row(path: Path, speaker: str | None, emotion: str, number: str) -> dict[str, Any]:
    speaker = speaker or path.parent.name
    if speaker not in SPEAKERS:
        raise UserError(
            f"{path}: unknown speaker; expected a folder named after one ({', '.join(SPEAKERS)}), or DC_a01.wav"
        )
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
