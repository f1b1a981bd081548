"""CREMA-D: 91 actors, twelve English sentences, six emotions, 7,442 recordings.

Layout: ``AudioWAV/1001_DFA_ANG_XX.wav``, wherever in the folder, 16 kHz, each named actor, sentence, emotion, level
(LO, MD, HI, XX unspecified). Where there is no WAV the lossy ``AudioMP3`` is read, with a notice.

Labels: the emotion the actor was asked for, by the name of the file. ANG anger, DIS disgust, FEA fear, HAP happiness,
NEU neutral, SAD sadness.

Licence: Open Database License (ODbL) 1.0. Citation: see ``CORPUS``.

Traps: the emotion that listeners recognised (``processedResults/summaryTable.csv``) is often another one; it is not
read.
``1076_MTI_SAD_XX.wav`` is silent, so the resample stage rejects it. ``1064_IEO_DIS_MD.wav`` is a minute long and holds
several emotions; it is left out. A clone without Git LFS holds pointers of about
130 bytes in place of the recordings; those are rejected too. The sentences carry no emotion: they are prompts and no
transcripts. Only the sentence IEO was spoken at several levels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.corpora.corpus import Corpus
from emopipe.corpora.folders import Scheme, find_recordings
from emopipe.downloads.release import File, Files, Release, read_checksums
from emopipe.schemas import tables
from emopipe.schemas.labels import WORDS
from emopipe.schemas.manifest import Utterance
from emopipe.schemas.notices import notice

SENTENCES = {
    "IEO": "It's eleven o'clock",
    "TIE": "That is exactly what happened",
    "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about",
    "TAI": "The airplane is almost full",
    "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock",
    "ITH": "I think I have a doctor's appointment",
    "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before",
    "TSI": "The surface is slick",
    "WSI": "We'll stop in a couple of minutes",
}
CODES = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
WOMEN = (  # of the actors 1001 to 1091, less 1000
    2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 18, 20, 21, 24, 25, 28, 29, 30, 37, 43, 46, 47, 49, 52, 53, 54, 55, 56,
    58, 60, 61, 63, 72, 73, 74, 75, 76, 78, 79, 82, 84, 89, 91,
)  # fmt: skip
FEMALE = frozenset(str(1000 + number) for number in WOMEN)
RECORDINGS = Scheme(
    "crema_d",
    rf"(1\d{{3}})_({'|'.join(SENTENCES)})_({'|'.join(CODES)})_(LO|MD|HI|XX?)",
    "like 1001_DFA_ANG_XX.wav",
    home="AudioWAV",
)
MIXED = "crema_d/1064_IEO_DIS_MD"


def read(folder: Path) -> pd.DataFrame:
    """Return one row per recording, in the order of the names."""
    rows = [_row(path, *match.groups()) for path, match in find_recordings(folder, RECORDINGS)]
    kept = [row for row in rows if row["utterance"] != MIXED]
    notice("crema_d", len(rows) - len(kept), "recordings", "left out: of several emotions", len(rows), MIXED)
    return tables.check(kept, Utterance, f"crema_d in {folder}")


def _row(path: Path, *fields: str) -> dict[str, Any]:
    actor, sentence, code, level = map(str.upper, fields)
    return {
        "utterance": f"crema_d/{actor}_{sentence}_{code}_{level}",
        "corpus": "crema_d",
        "speaker": f"crema_d/{actor}",
        "sex": "female" if actor in FEMALE else "male",
        "language": "en",
        "path": str(path),
        "emotion": WORDS[code.lower()],
        "prompt": SENTENCES[sentence],
    }


MEDIA = "https://media.githubusercontent.com/media/CheyneyComputerScience/CREMA-D/master"  # its Git LFS storage
OTHER_NAMES = {"AudioWAV/1040_ITH_SAD_XX.wav": "AudioWAV/1040_ITH_SAD_X.wav"}  # in some copies


def release() -> Release:
    """Return the 7,442 recordings, each of which is a download of its own."""
    checksums = read_checksums(Path(__file__).with_name("crema_d.sha256"))
    names = {name: (name, OTHER_NAMES[name]) if name in OTHER_NAMES else (name,) for name in checksums}
    files = tuple(File(name, tuple(f"{MEDIA}/{name}" for name in given)) for name, given in names.items())
    return Release(checksums=checksums, size=605_899_936, sources=(Files(files),))


CORPUS = Corpus(
    key="crema_d",
    title="Crowd-sourced Emotional Multimodal Actors Dataset (CREMA-D)",
    size="7,442 recordings of 91 speakers, English, acted",
    labels=tuple(WORDS[code.lower()] for code in CODES),
    branch="audio",
    licence="ODbL 1.0",
    citation=(
        "H. Cao, D. G. Cooper, M. K. Keutmann, R. C. Gur, A. Nenkova, R. Verma: CREMA-D: Crowd-sourced Emotional "
        "Multimodal Actors Dataset. IEEE Transactions on Affective Computing 5(4), 2014"
    ),
    source="https://github.com/CheyneyComputerScience/CREMA-D (with Git LFS)",
    layout="AudioWAV/1001_DFA_ANG_XX.wav, ...",
    read=read,
    release=release,
)
