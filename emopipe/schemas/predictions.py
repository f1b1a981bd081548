"""The predictions of the test sets: a table of emotions and one of dimensions, in which every model has rows.

The stages ``predict_audio`` and ``predict_text`` write the tables of their branch, and ``evaluate`` the tables of all
branches with the baselines, in the same form.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, TextIO, get_args

import numpy as np
import pandas as pd
from pydantic import AfterValidator, create_model

from emopipe.schemas import tables
from emopipe.schemas.manifest import DIMENSIONS, Dimension, Emotion, Identifier, Sex, Vad
from emopipe.schemas.tables import Number, Row, read_csv, unescape, write_csv

Branch = Literal["audio", "text", "forest"]
BRANCHES: tuple[str, ...] = get_args(Branch)
ModelName = Literal[
    "trained", "text_only", "audio_only", "zero_shot", "zero_shot_uncalibrated", "nli", "nli_uncalibrated",
    "majority", "mean",
]  # fmt: skip
TRAINED, MAJORITY, MEAN = "trained", "majority", "mean"
METADATA = ("corpus", "speaker", "sex", "language")  # what scores are broken down by
PROBABILITY = "p_"  # and the emotion

EMOTION = Path("data/predictions/emotion.csv")
VAD = Path("data/predictions/vad.csv")
EMBEDDING = Path("data/predictions/embedding.csv")  # utterance, component_1, component_2, ...
STATISTICS = Path("data/predictions/statistics.json")  # what stands behind the scores of metrics/evaluation.json

# What a branch's own stage predicts: the files of the names above, and for text
AUDIO, TEXT = Path("data/predicted/audio"), Path("data/predicted/text")
TRAINING = TEXT / "training.csv"  # zero-shot VAD of training utterances with an emotion, as PredictedVad
ORIGINS = TEXT / "origins.json"  # of the zero-shot models' weights


def _share(value: float) -> float:
    if value < 0 or value > 1:  # NaN, an unknown value, passes
        raise ValueError("no probability")
    return value


Probability = Annotated[Number, AfterValidator(_share)]


class Prediction(Row):
    """What a model predicts of an utterance of the test set."""

    utterance: Identifier
    corpus: str
    speaker: str = ""
    sex: Sex = ""
    language: str = ""
    branch: Branch
    model: ModelName


class EmotionPrediction(Prediction):
    """An emotion, in the table followed by a probability ``p_EMOTION`` for each: empty where a model gives none."""

    truth: Emotion
    prediction: Emotion


class VadPrediction(Prediction):
    """One of valence, arousal and dominance on the 1..5 scale, which a prediction may leave."""

    dimension: Dimension
    truth: Vad = float("nan")  # unknown where the utterance is not rated
    prediction: float


@cache
def _emotion_row(labels: tuple[str, ...]) -> type[Row]:
    fields = {f"{PROBABILITY}{label}": (Probability, float("nan")) for label in labels}
    return create_model("EmotionPrediction", __base__=EmotionPrediction, **fields)


def labels_of(table: pd.DataFrame) -> list[str]:
    """Return the emotions that a table has a column of probabilities of, sorted.

    >>> labels_of(pd.DataFrame(columns=["prediction", "p_fear", "p_anger"]))
    ['anger', 'fear']
    """
    return sorted(name.removeprefix(PROBABILITY) for name in table.columns if name.startswith(PROBABILITY))


def emotion_table(
    rows: pd.DataFrame,
    branch: str,
    model: str,
    prediction: Sequence[str],
    probabilities: np.ndarray | None = None,
    labels: Sequence[str] = (),
) -> pd.DataFrame:
    """Return the rows of a model in the table of emotions.

    Args:
        rows: of the utterances: ``utterance``, ``METADATA`` and ``emotion``, the truth
        branch: whose model it is
        model: its name
        prediction: [utterances]
        probabilities: [utterances, labels]; None where the model gives none
        labels: names of their columns
    """
    who = rows[["utterance", *METADATA]].assign(branch=branch, model=model)
    table = who.assign(truth=rows["emotion"], prediction=np.asarray(prediction, dtype=object))
    if probabilities is None:
        return table
    return table.assign(**{f"{PROBABILITY}{label}": probabilities[:, i] for i, label in enumerate(labels)})


def vad_table(
    rows: pd.DataFrame, branch: str, model: str, predicted: np.ndarray, dimensions: Sequence[str] = DIMENSIONS
) -> pd.DataFrame:
    """Return the rows of a model in the table of dimensions.

    Args:
        rows: of the utterances: ``utterance``, ``METADATA`` and the dimensions, NaN where they are not rated
        branch: whose model it is
        model: its name
        predicted: on the 1..5 scale, [utterances, dimensions]
        dimensions: which they are
    """
    each = np.repeat(np.arange(len(rows)), len(dimensions))
    return (
        rows[["utterance", *METADATA]]
        .iloc[each]
        .assign(
            branch=branch,
            model=model,
            dimension=list(dimensions) * len(rows),
            truth=rows[list(dimensions)].to_numpy(dtype=np.float64).ravel(),
            prediction=np.asarray(predicted, dtype=np.float64).ravel(),
        )
    )


def predicted_vad(table: pd.DataFrame, branch: str, model: str = TRAINED) -> pd.DataFrame:
    """Return what a model predicts of each utterance as one row: ``utterance``, valence, arousal and dominance.

    Args:
        table: of dimensions
        branch: whose model it is
        model: its name
    """
    own = table[(table["branch"] == branch) & (table["model"] == model)]
    wide = own.pivot(index="utterance", columns="dimension", values="prediction")
    return (
        wide.reindex(index=own["utterance"].unique(), columns=list(DIMENSIONS)).rename_axis(columns=None).reset_index()
    )


def write_emotion(table: pd.DataFrame, path: Path) -> None:
    """Check and write a table of emotions, the probabilities of all labels in the order of the alphabet."""
    tables.write(table, path, _emotion_row(tuple(labels_of(table))))


def read_emotion(source: Path | TextIO = EMOTION) -> pd.DataFrame:
    """Read a table of emotions; a probability that a model does not give is NaN.

    Args:
        source: a file's path, or the open file

    Raises:
        UserError: if the file is absent or breaks a rule
    """
    cells = read_csv(source)
    return tables.typed(cells, _emotion_row(tuple(labels_of(cells))), _name(source))


def write_vad(table: pd.DataFrame, path: Path) -> None:
    """Check and write a table of dimensions."""
    tables.write(table, path, VadPrediction)


def read_vad(source: Path | TextIO = VAD) -> pd.DataFrame:
    """Read a table of dimensions; a truth that is not known is NaN.

    Args:
        source: a file's path, or the open file

    Raises:
        UserError: if the file is absent or breaks a rule
    """
    return tables.typed(read_csv(source), VadPrediction, _name(source))


def write_embedding(table: pd.DataFrame, path: Path = EMBEDDING) -> None:
    """Write the principal components of some utterances' embeddings."""
    write_csv(table, path)


def read_embedding(path: Path = EMBEDDING) -> pd.DataFrame:
    """Read the principal components of some utterances' embeddings."""
    table = pd.read_csv(path, dtype={"utterance": str})
    return table.assign(utterance=table["utterance"].map(unescape))


def _name(source: Path | TextIO) -> str:
    return str(source) if isinstance(source, Path) else "the predictions"
