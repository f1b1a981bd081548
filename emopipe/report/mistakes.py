"""The test utterances that a trained model got most wrong, to be looked at and listened to one by one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple
from urllib.parse import quote

import pandas as pd

from emopipe.report.formatting import score
from emopipe.report.tables import Cell, Table
from emopipe.schemas.predictions import PROBABILITY

SHOWN = 10
RECORDINGS = PurePosixPath("../data/audio")  # seen from metrics/report.html


class Utterances(NamedTuple):
    """What there is to read and to listen to."""

    transcripts: Mapping[str, str]  # by utterance
    recordings: Collection[str]  # utterances that are in data/audio


def emotions(predictions: pd.DataFrame, branch: str, utterances: Utterances) -> Table:
    """Return the wrong classes of which the model was most certain.

    Args:
        predictions: of one model, with ``utterance``, ``truth``, ``prediction`` and a probability per class
        branch: whose it is
        utterances: their transcripts and recordings
    """
    wrong = predictions[predictions["truth"] != predictions["prediction"]]
    confidence = [row.get(f"{PROBABILITY}{row['prediction']}", float("nan")) for row in wrong.to_dict("records")]
    worst = _worst(wrong.assign(confidence=confidence), "confidence")
    rows = [
        [Cell(row.utterance), Cell(row.truth), Cell(row.prediction), Cell(f"{row.confidence:.2f}")]
        for row in worst.itertuples()
    ]
    columns = ["utterance", "truth", "prediction", "confidence"]
    return _table(f"{branch.capitalize()}: highest confidence in a wrong emotion", columns, rows, {1, 2}, utterances)


def ratings(predictions: pd.DataFrame, branch: str, utterances: Utterances) -> Table:
    """Return the largest errors, one dimension per utterance.

    Args:
        predictions: of one model, with ``utterance``, ``dimension``, ``truth`` and ``prediction``
        branch: whose it is
        utterances: their transcripts and recordings
    """
    errors = predictions.assign(error=predictions["prediction"] - predictions["truth"])
    errors = errors.assign(size=errors["error"].abs())
    largest = errors.sort_values("size", ascending=False, kind="stable").drop_duplicates("utterance")
    rows = [
        [
            Cell(row.utterance),
            Cell(row.dimension),
            *(Cell(score(value, sign)) for value, sign in ((row.truth, ""), (row.prediction, ""), (row.error, "+"))),
        ]
        for row in _worst(largest, "size").itertuples()
    ]
    columns = ["utterance", "dimension", "truth", "prediction", "error"]
    return _table(f"{branch.capitalize()}: largest error on the scale of 1 to 5", columns, rows, {1}, utterances)


def _worst(table: pd.DataFrame, column: str) -> pd.DataFrame:
    known = table[table[column].notna()]
    return known.sort_values([column, "utterance"], ascending=[False, True]).head(SHOWN)


def _table(caption: str, columns: list[str], rows: list[list[Cell]], words: set[int], utterances: Utterances) -> Table:
    """Add transcript and recording where any of the rows has one."""
    names, (transcripts, recordings) = [row[0].text for row in rows], utterances
    if any(name in transcripts for name in names):
        words, columns = words | {len(columns)}, [*columns, "transcript"]
        rows = [[*row, Cell(transcripts.get(name, ""))] for row, name in zip(rows, names, strict=True)]
    if any(name in recordings for name in names):
        words, columns = words | {len(columns)}, [*columns, "recording"]
        sources = [f"{RECORDINGS / quote(name)}.flac" if name in recordings else "" for name in names]
        rows = [[*row, Cell(name, audio=src)] for row, name, src in zip(rows, names, sources, strict=True)]
    return Table(caption, columns, rows, frozenset(words))
