"""The tables of data/predictions: what the models say of the test set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np
import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.tables import read_csv, unescape, write_csv

AUDIO = Path("data/predictions/audio.csv")
TEXT = Path("data/predictions/text.csv")
FOREST = Path("data/predictions/forest.csv")
DETAILS = Path("data/predictions/details.json")  # what stands behind the scores of metrics/evaluation.json
EMBEDDING = Path("data/predictions/embedding.csv")  # utterance, component_1, component_2, ...

PROBABILITY = "p_"  # and the class
WHO = ("corpus", "speaker", "sex", "language")  # what scores are broken down by
AUDIO_COLUMNS = ("utterance", *WHO, "truth", "prediction", "zero_shot")
PREDICTED, ZERO_SHOT = "_predicted", "_zero_shot"
NLI = "_nli"  # the zero-shot baseline of that name: columns behind the others, where it was asked for
TEXT_COLUMNS = (
    "utterance",
    *WHO,
    *DIMENSIONS,
    *(f"{name}{kind}" for kind in (PREDICTED, ZERO_SHOT) for name in DIMENSIONS),
    "emotion",
    f"emotion{PREDICTED}",
    f"emotion{ZERO_SHOT}",
)
# what a forest that hears says of the utterances that its branches hold out, beside those that know one branch alone
FOREST_COLUMNS = ("utterance", *WHO, "truth", "prediction", "text_alone", "audio_alone", "zero_shot", "majority")


class Evaluation(NamedTuple):
    """What is found of one branch on its test set."""

    scores: dict[str, Any]  # the headline
    details: dict[str, Any]  # what stands behind it: intervals, tests, calibration, groups
    table: pd.DataFrame  # predictions
    embedding: pd.DataFrame | None = None  # of some utterances: principal components of what the head is given


def audio_table(
    rows: pd.DataFrame, probabilities: np.ndarray, zero_shot: np.ndarray | None, labels: Sequence[str]
) -> pd.DataFrame:
    """Return ``AUDIO_COLUMNS`` and one probability column ``p_LABEL`` per class.

    Args:
        rows: of the audio split
        probabilities: [rows, classes]
        zero_shot: those of the zero-shot baseline, [rows, classes]; None: there is none
        labels: names of the classes
    """
    names = np.asarray(labels, dtype=object)
    table = rows[["utterance", *WHO]].assign(
        truth=rows["emotion"],
        prediction=names[probabilities.argmax(1)],
        zero_shot="" if zero_shot is None else names[zero_shot.argmax(1)],
    )
    return table.assign(**{f"{PROBABILITY}{label}": probabilities[:, i] for i, label in enumerate(labels)})


def rated_table(rows: pd.DataFrame, predicted: np.ndarray, targets: Sequence[str]) -> pd.DataFrame:
    """Return who was heard, and each target as it was rated and as it was predicted.

    Args:
        rows: of the audio split
        predicted: on the 1..5 scale, [rows, targets]
        targets: which dimensions
    """
    table = rows[["utterance", *WHO, *targets]]
    return table.assign(**{f"{name}{PREDICTED}": predicted[:, i] for i, name in enumerate(targets)})


def targets_of(table: pd.DataFrame) -> list[str]:
    """Return the dimensions that the audio predictions are of; none where they are classes.

    >>> targets_of(pd.DataFrame(columns=["utterance", "arousal", "arousal_predicted"]))
    ['arousal']
    """
    return [name.removesuffix(PREDICTED) for name in table.columns if name.endswith(PREDICTED)]


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table of predictions."""
    write_csv(table, path)


def read_audio(source: Path | TextIO = AUDIO) -> pd.DataFrame:
    """Read the audio predictions, of classes or of dimensions; probabilities and dimensions are numbers."""
    table = read_csv(source)
    rated = targets_of(table)
    _require(table, ("utterance", *WHO, *rated) if rated else AUDIO_COLUMNS, source)
    return table.astype({name: float for name in table.columns if name.startswith((PROBABILITY, *rated))})


def read_text(source: Path | TextIO = TEXT) -> pd.DataFrame:
    """Read the text predictions; what is not known or was not predicted is NaN, an emotion empty."""
    table = read_csv(source)
    _require(table, TEXT_COLUMNS, source)
    numbers = [name for name in table.columns if name.startswith((*DIMENSIONS, PROBABILITY))]
    return table.assign(**{name: pd.to_numeric(table[name].replace("", np.nan)) for name in numbers})


def read_forest(source: Path | TextIO = FOREST) -> pd.DataFrame:
    """Read the predictions of a forest that hears; of one that does not there is no row."""
    table = read_csv(source)
    _require(table, FOREST_COLUMNS, source)
    return table.astype({name: float for name in table.columns if name.startswith(PROBABILITY)})


def read_embedding(path: Path = EMBEDDING) -> pd.DataFrame:
    """Read the principal components of some utterances' embeddings."""
    table = pd.read_csv(path, dtype={"utterance": str})
    return table.assign(utterance=table["utterance"].map(unescape))


def _require(table: pd.DataFrame, columns: Sequence[str], source: Path | TextIO) -> None:
    missing = [name for name in columns if name not in table.columns]
    if missing:
        where = source if isinstance(source, Path) else "the predictions"
        raise UserError(f"{where}: column(s) {', '.join(missing)} missing; run `dvc repro evaluate`")


EMOTION = Path("data/predictions/emotion.csv")
VAD = Path("data/predictions/vad.csv")
STATISTICS = Path("data/predictions/statistics.json")


def read_emotion(source: Path | TextIO = EMOTION) -> pd.DataFrame:
    """Read the predicted emotions; probabilities are numbers, NaN where there is none."""
    table = read_csv(source)
    names = [name for name in table.columns if name.startswith(PROBABILITY)]
    return table.assign(**{name: pd.to_numeric(table[name].replace("", np.nan)) for name in names})


def read_vad(source: Path | TextIO = VAD) -> pd.DataFrame:
    """Read the predicted dimensions; truth and prediction are numbers, NaN where not known."""
    table = read_csv(source)
    return table.assign(**{n: pd.to_numeric(table[n].replace("", np.nan)) for n in ("truth", "prediction")})
