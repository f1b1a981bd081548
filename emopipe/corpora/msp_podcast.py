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
from typing import Any

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


def read(folder: Path) -> list[dict[str, Any]]:
    """Return one row per labelled turn of the three sets, in the order of the table."""
    path = folder / "Labels" / "labels_consensus.csv"
    cells = read_columns(path, COLUMNS)
    audio = inner(folder, "Audios", "Audio")
    rows = [_row(cell, audio) for cell in cells.to_dict("records")]
    # Checked here too, where the row number is that of the file the user knows. Only then can rows be left out.
    checked = tables.check(rows, Utterance, str(path), first=2)
    further = cells["Split_Set"].isin(FURTHER)
    print("msp_podcast: valence, arousal and dominance mapped linearly from the scale of 1 to 7 to that of 1 to 5")
    if further.any():
        print(f"msp_podcast: left out {further.sum()} of {len(cells)} utterances: {' and '.join(sorted(FURTHER))}")
    return _with_transcripts(checked[~further].to_dict("records"), folder / "Transcripts")


def _row(cell: dict[str, str], audio: Path) -> dict[str, Any]:
    """Return a row; what no map knows stays as it is, for the check to name."""
    name, speaker, part = cell["FileName"].removesuffix(".wav"), cell["SpkrID"].strip(), cell["Split_Set"]
    return {
        "utterance": f"msp_podcast/{name}",
        "corpus": "msp_podcast",
        "speaker": "" if speaker in ("", "Unknown") else f"msp_podcast/{speaker}",
        "sex": SEXES.get(cell["Gender"], cell["Gender"]),
        "language": "en",
        "path": str(audio / f"{name}.wav"),
        "emotion": EMOTIONS.get(cell["EmoClass"], cell["EmoClass"]),
        "valence": _rescaled(cell["EmoVal"]),
        "arousal": _rescaled(cell["EmoAct"]),
        "dominance": _rescaled(cell["EmoDom"]),
        "split": "" if part in FURTHER else SETS.get(part, part),
    }


def _rescaled(rating: str) -> float | str:
    """Map 1..7 linearly to 1..5.

    >>> [_rescaled("1"), _rescaled("4"), _rescaled("7.0"), _rescaled("")]
    [1.0, 3.0, 5.0, '']
    """
    try:
        return round(1 + (float(rating) - 1) * 2 / 3, 6)
    except ValueError:
        return rating


def _with_transcripts(rows: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    if not folder.is_dir():
        print(f"msp_podcast: no {folder}, so there are no transcripts")
        return rows
    files = {file.stem: file for file in folder.glob("*.txt")}
    for row in rows:
        file = files.get(row["utterance"].removeprefix("msp_podcast/"))
        row["transcript"] = " ".join(read_lines(file)).strip() if file else ""
    silent = sum(not row["transcript"] for row in rows)
    if silent:
        print(f"msp_podcast: {silent} of {len(rows)} utterances have no transcript")
    return rows


CORPUS = Corpus(
    key="msp_podcast",
    title="MSP-Podcast corpus",
    size="grows by release: 264,705 turns in 2.0, English, found speech, official split; audio and transcripts",
    labels=(*filter(None, EMOTIONS.values()), *DIMENSIONS),
    licence="academic licence of the University of Texas at Dallas, to be signed",
    citation=(
        "R. Lotfian, C. Busso: Building Naturalistic Emotionally Balanced Speech Corpus by Retrieving Emotional Speech "
        "From Existing Podcast Recordings. IEEE Transactions on Affective Computing 10(4), 2019"
    ),
    source="https://www.lab-msp.com/MSP/MSP-Podcast.html (request form)",
    layout="Labels/labels_consensus.csv, Audios/MSP-PODCAST_0001_0008.wav, ... and Transcripts/*.txt",
    read=read,
)
