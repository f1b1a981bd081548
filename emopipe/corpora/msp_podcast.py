"""MSP-Podcast: turns of English podcasts with emotions and VAD, in the corpus's own partitions; licensed.

Layout, wherever in the folder: ``Labels/labels_consensus.csv``, in older releases ``labels_concensus.csv`` (columns
FileName, EmoClass, EmoAct, EmoVal, EmoDom, SpkrID, Gender, Split_Set), ``Audios/MSP-PODCAST_0001_0008.wav`` (or
``Audio``), and ``Transcripts/MSP-PODCAST_0001_0008.txt`` where it is.

Labels: A anger, S sadness, H happiness, U surprise, F fear, D disgust, C contempt, N neutral, O other; X, on which the
annotators did not agree, is no emotion. EmoVal, EmoAct and EmoDom are means on a scale of 1 to 7; they are mapped
linearly to 1 to 5: 1 + (x - 1) * 2 / 3.

Partitions: Train, Development (before: Validation) and Test1 (before: Test) are train, dev and test. Test2 and Test3
are further test sets whose scores are published apart; they are left out, and counted.

Licence: of the University of Texas at Dallas, to be signed. Citation: see ``CORPUS``.

Traps: many speakers are unknown, which leaves ``split.audio.strategy`` the choice of official and random. The number of
utterances grows from release to release: name yours beside a score.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emopipe.corpora.corpus import Corpus
from emopipe.corpora.folders import Scheme, by_stem, find, walk
from emopipe.corpora.sources import read_columns, read_lines
from emopipe.schemas import tables
from emopipe.schemas.labels import PARTS, SEXES
from emopipe.schemas.manifest import DIMENSIONS, Utterance
from emopipe.schemas.notices import notice

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
SETS = PARTS | {"test1": "test"}
FURTHER = {"test2": "", "test3": ""}
LABELS = Scheme(
    "msp_podcast", r"labels_(consensus|concensus)", "labels_consensus.csv", home="Labels", suffixes=(".csv",)
)
COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")


def read(folder: Path) -> pd.DataFrame:
    """Return one row per labelled turn of the three sets, in the order of the table."""
    # Where both spellings are there, the newer release's.
    path, *others = sorted((file for file, _ in find(folder, LABELS)), key=lambda file: file.stem.lower(), reverse=True)
    notice("msp_podcast", len(others), "tables", f"left out: {path.name} is read", first=", ".join(map(str, others)))
    root = path.parent.parent if path.parent.name.lower() == "labels" else path.parent
    cells, files = read_columns(path, COLUMNS), list(walk(root))
    rows = tables.check(_rows(cells, root, by_stem(files)), Utterance, str(path), first=2)
    further = cells["Split_Set"].str.strip().str.lower().isin(FURTHER)
    print("msp_podcast: valence, arousal and dominance mapped linearly from the scale of 1 to 7 to that of 1 to 5")
    notice("msp_podcast", int(further.sum()), "utterances", "left out: Test2 and Test3", len(cells))
    return _with_transcripts(rows[~further], [file for file in files if file.parent.name.lower() == "transcripts"])


def _rows(cells: pd.DataFrame, root: Path, recordings: dict[str, Path]) -> pd.DataFrame:
    """Return the rows before their check; a value without a translation stays as it is, for the check to name it."""
    paths = [recordings.get(name.lower(), root / "Audios" / f"{name}.wav") for name in _names(cells)]
    name, speaker = _names(cells), cells["SpkrID"].str.strip()
    return pd.DataFrame(
        {
            "utterance": "msp_podcast/" + name,
            "corpus": "msp_podcast",
            "speaker": ("msp_podcast/" + speaker).mask(speaker.isin(["", "Unknown"]), ""),
            "sex": cells["Gender"].map(lambda cell: SEXES.get(cell.strip().lower(), cell)),
            "language": "en",
            "path": [str(path) for path in paths],
            "emotion": cells["EmoClass"].replace(EMOTIONS),
            "valence": cells["EmoVal"].map(_rescaled),
            "arousal": cells["EmoAct"].map(_rescaled),
            "dominance": cells["EmoDom"].map(_rescaled),
            "split": cells["Split_Set"].map(lambda cell: (SETS | FURTHER).get(cell.strip().lower(), cell)),
        }
    )


def _names(cells: pd.DataFrame) -> pd.Series:
    return cells["FileName"].str.strip().str.replace(r"\.wav$", "", regex=True, case=False)


def _rescaled(rating: str) -> float | str:
    """Map 1..7 linearly to 1..5.

    >>> [_rescaled("1"), _rescaled("4"), _rescaled("7.0"), _rescaled("")]
    [1.0, 3.0, 5.0, '']
    """
    try:
        return round(1 + (float(rating) - 1) * 2 / 3, 6)
    except ValueError:
        return rating


def _with_transcripts(rows: pd.DataFrame, transcripts: list[Path]) -> pd.DataFrame:
    files = {f"msp_podcast/{file.stem}".lower(): file for file in transcripts if file.suffix.lower() == ".txt"}
    found = (files.get(utterance.lower()) for utterance in rows["utterance"])
    rows = rows.assign(transcript=[" ".join(read_lines(file)).strip() if file else "" for file in found])
    notice("msp_podcast", int((rows["transcript"] == "").sum()), "utterances", "without a transcript", len(rows))
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
