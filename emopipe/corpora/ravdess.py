"""RAVDESS, its speech part: 24 North American actors, two English sentences, eight emotions.

Layout: ``Actor_NN/03-01-EE-II-SS-RR-AA.wav``, wherever in the folder, 1,440 recordings at 48 kHz. The fields: modality
(03 audio alone), channel (01 speech), emotion, intensity, statement, repetition, actor.

Labels: 01 neutral, 02 calm, 03 happy (happiness), 04 sad (sadness), 05 angry (anger), 06 fearful (fear),
07 disgust, 08 surprised (surprise). Actors with an odd number are male, with an even one female.

Licence: CC BY-NC-SA 4.0. Citation: see ``CORPUS``.

Traps: the download page offers songs and videos under the same naming scheme; they are left out. Five files
are stereo, some are nearly silent, Actor_07 holds one pair with identical content. Some mirrors hold every actor
twice, beside and below ``Audio_Speech_Actors_01-24``: each recording is read once. The two sentences
carry no emotion, so they are prompts and no transcripts. Neutral exists in one intensity, so half as often as the
other emotions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.corpora.corpus import Corpus
from emopipe.corpora.folders import Scheme, find_recordings
from emopipe.downloads.release import Archive, File, Release, read_checksums
from emopipe.schemas import tables
from emopipe.schemas.manifest import Utterance

RECORDINGS = Scheme(
    "ravdess",
    r"03-01-(0[1-8])-(0[12])-(0[12])-(0[12])-(\d\d)",
    "03-01-EE-II-SS-RR-AA.wav (speech, audio alone)",
    part=r"Actor_\d\d",
)
EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happiness",
    "04": "sadness",
    "05": "anger",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}


def read(folder: Path) -> pd.DataFrame:
    """Return one row per recording, in the order of actor and name."""
    rows = [_row(path, *match.groups()) for path, match in find_recordings(folder, RECORDINGS)]
    return tables.check(rows, Utterance, f"ravdess in {folder}")


def _row(path: Path, emotion: str, _intensity: str, statement: str, _repetition: str, actor: str) -> dict[str, Any]:
    return {
        "utterance": f"ravdess/{path.stem}",
        "corpus": "ravdess",
        "speaker": f"ravdess/{actor}",
        "sex": "male" if int(actor) % 2 else "female",
        "language": "en",
        "path": str(path),
        "emotion": EMOTIONS[emotion],
        "prompt": STATEMENTS[statement],
    }


def release() -> Release:
    """Return the 1,440 recordings, which are one archive on Zenodo."""
    archive = File(
        "Audio_Speech_Actors_01-24.zip",
        (
            "https://zenodo.org/records/1188976/files/Audio_Speech_Actors_01-24.zip?download=1",
            "https://zenodo.org/api/records/1188976/files/Audio_Speech_Actors_01-24.zip/content",
        ),
        size=208_468_073,
        checksum="md5:bc696df654c87fed845eb13823edef8a",
    )
    checksums = read_checksums(Path(__file__).with_name("ravdess.sha256"))
    return Release(checksums=checksums, size=590_349_330, sources=(Archive(archive),))


CORPUS = Corpus(
    key="ravdess",
    title="Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS), speech",
    size="1,440 recordings of 24 speakers, English, acted",
    labels=tuple(EMOTIONS.values()),
    branch="audio",
    licence="CC BY-NC-SA 4.0",
    citation=(
        "S. R. Livingstone, F. A. Russo: The Ryerson Audio-Visual Database of Emotional Speech and Song (RAVDESS). "
        "PLoS ONE 13(5): e0196391, 2018"
    ),
    source="https://zenodo.org/records/1188976 (Audio_Speech_Actors_01-24.zip)",
    layout="Actor_01/03-01-01-01-01-01-01.wav, ...",
    read=read,
    release=release,
)
