"""MSP-Podcast: turns of English podcasts with emotions and VAD, in the corpus's own partitions; licensed.

Layout: ``Labels/labels_consensus.csv`` (columns FileName, EmoClass, EmoAct, EmoVal, EmoDom, SpkrID, Gender, Split_Set),
``Audios/MSP-PODCAST_0001_0008.wav`` (or ``Audio``), and ``Transcripts/MSP-PODCAST_0001_0008.txt`` where it is.

Labels: A anger, S sadness, H happiness, U surprise, F fear, D disgust, C contempt, N neutral, O other; X, on which the
annotators did not agree, is no emotion. EmoVal, EmoAct and EmoDom are means on a scale of 1 to 7; they are mapped
linearly to 1 to 5: 1 + (x - 1) * 2 / 3.

Partitions: Train, Development and Test1 are train, dev and test. Test2 and Test3 are further test sets whose scores are
published apart; they are left out, and counted.

Licence: of the University of Texas at Dallas, to be signed. Citation: see ``CORPUS``.

Traps: many speakers are unknown, which leaves ``split.audio.strategy`` the choice of official and random. The number of
utterances grows from release to release: name yours beside a score.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emopipe.corpora.corpus import Corpus
from emopipe.corpora.sources import inner, read_columns, read_lines
from emopipe.schemas import tables
from emopipe.schemas.manifest import DIMENSIONS, Utterance

EMOTIONS = {
    "A": "anger",
    "S": "sadness",
    "H": "happiness",
    "U": "surprise",
    "F": "fear",
    "D": "disgust",
    "C": "contempt",
    "N": "neutral",
    "O": "other",
    "X": "",
}
SETS = {"Train": "train", "Development": "dev", "Test1": "test"}
FURTHER = {"Test2", "Test3"}
SEXES = {"Female": "female", "Male": "male", "Unknown": ""}
COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")


def read(folder: Path) -> pd.DataFrame:
    """Return one row per labelled turn of the three sets, in the order of the table."""
    path = folder / "Labels" / "labels_consensus.csv"
    cells = read_columns(path, COLUMNS)
    rows = tables.check(_rows(cells, inner(folder, "Audios", "Audio")), Utterance, str(path), first=2)
    further = cells["Split_Set"].isin(FURTHER)
    print("msp_podcast: valence, arousal and dominance mapped linearly from the scale of 1 to 7 to that of 1 to 5")
    if further.any():
        print(f"msp_podcast: left out {further.sum()} of {len(cells)} utterances: {' and '.join(sorted(FURTHER))}")
    return _with_transcripts(rows[~further], folder / "Transcripts")


def _rows(cells: pd.DataFrame, audio: Path) -> pd.DataFrame:
    """Return the rows before their check; a value without a translation stays as it is, for the check to name it."""
    name, speaker = cells["FileName"].str.removesuffix(".wav"), cells["SpkrID"].str.strip()
    return pd.DataFrame(
        {
            "utterance": "msp_podcast/" + name,
            "corpus": "msp_podcast",
            "speaker": ("msp_podcast/" + speaker).mask(speaker.isin(["", "Unknown"]), ""),
            "sex": cells["Gender"].replace(SEXES),
            "language": "en",
            "path": f"{audio}/" + name + ".wav",
            "emotion": cells["EmoClass"].replace(EMOTIONS),
            "valence": cells["EmoVal"].map(_rescaled),
            "arousal": cells["EmoAct"].map(_rescaled),
            "dominance": cells["EmoDom"].map(_rescaled),
            "split": cells["Split_Set"].replace(SETS | dict.fromkeys(FURTHER, "")),
        }
    )


def _rescaled(rating: str) -> float | str:
    """Map 1..7 linearly to 1..5.

    >>> [_rescaled("1"), _rescaled("4"), _rescaled("7.0"), _rescaled("")]
    [1.0, 3.0, 5.0, '']
    """
    try:
        return round(1 + (float(rating) - 1) * 2 / 3, 6)
    except ValueError:
        return rating


def _with_transcripts(rows: pd.DataFrame, folder: Path) -> pd.DataFrame:
    if not folder.is_dir():
        print(f"msp_podcast: no {folder}, so there are no transcripts")
        return rows
    files = {f"msp_podcast/{file.stem}": file for file in folder.glob("*.txt")}
    found = (files.get(utterance) for utterance in rows["utterance"])
    rows = rows.assign(transcript=[" ".join(read_lines(file)).strip() if file else "" for file in found])
    without = (rows["transcript"] == "").sum()
    if without:
        print(f"msp_podcast: {without} of {len(rows)} utterances have no transcript")
    return rows


CORPUS = Corpus(
    key="msp_podcast",
    title="MSP-Podcast corpus",
    size="grows by release: 264,705 turns in 2.0, English, found speech, official split; audio and transcripts",
    labels=(*filter(None, EMOTIONS.values()), *DIMENSIONS),
    branch="both",
    licence="academic licence of the University of Texas at Dallas, to be signed",
    citation=(
        "R. Lotfian, C. Busso: Building Naturalistic Emotionally Balanced Speech Corpus by Retrieving Emotional Speech "
        "From Existing Podcast Recordings. IEEE Transactions on Affective Computing 10(4), 2019"
    ),
    source="https://www.lab-msp.com/MSP/MSP-Podcast.html (request form)",
    layout="Labels/labels_consensus.csv, Audios/MSP-PODCAST_0001_0008.wav, ... and Transcripts/*.txt",
    read=read,
)
