"""The two targets that are predicted of a test set, and how each is scored: emotions, and dimensions (VAD).

Scores go by one flat name: ``uar``, ``recall.anger``, ``ccc.valence``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import pandas as pd

from emopipe.schemas.predictions import MAJORITY, MEAN, METADATA, PROBABILITY, labels_of
from emopipe.scoring.bootstrap import classification_intervals, regression_intervals
from emopipe.scoring.calibration import brier_score, expected_calibration_error
from emopipe.scoring.classification import classification, recall_per_class
from emopipe.scoring.intervals import Interval
from emopipe.scoring.mcnemar import McNemar, mcnemar
from emopipe.scoring.paired import Difference, aligned, classification_difference, regression_difference
from emopipe.scoring.regression import flatten, regression

CONSTANT = ("mse", "rmse", "mae", "ccc", "r2")  # the scores of one answer for all, which correlates with nothing


class Target(Protocol):
    """A target on a test set: its truth, and what one or more models (or runs of a model) predict of it."""

    utterances: pd.DataFrame  # utterance and METADATA

    @classmethod
    def of(cls, table: pd.DataFrame) -> Self:
        """Return the target of a table of predictions.

        Args:
            table: rows of one branch; utterances of which the truth is not known are left out

        Raises:
            UserError: where the models did not predict the same utterances
        """

    @property
    def models(self) -> list[str]:
        """Return the names of the models, in the order of the table."""

    @property
    def headline(self) -> list[str]:
        """Return the scores of which the interval stands beside them."""

    def scores(self, model: str) -> dict[str, float]:
        """Return the scores of a model."""

    def intervals(self, model: str) -> dict[str, Interval]:
        """Return the interval of each score that has one, or why it has none."""

    def differences(self, a: Sequence[str], b: Sequence[str]) -> dict[str, Difference]:
        """Return how much the scores of A, the mean over these models, exceed those of B."""


@dataclass(frozen=True)
class EmotionTarget:
    """An emotion of each utterance."""

    utterances: pd.DataFrame
    truth: np.ndarray  # [utterances]
    predictions: dict[str, np.ndarray]  # of each model, [utterances]
    labels: list[str]  # of the probabilities: those that a model knows, and those that occur
    probabilities: dict[str, np.ndarray]  # of each model that gives them, [utterances, labels]

    @classmethod
    def of(cls, table: pd.DataFrame) -> Self:
        """Return the target of the rows of one branch in a table of emotions; see :meth:`Target.of`."""
        tables = _by_model(table, list(table["model"].unique()))
        first = next(iter(tables.values()), table)
        labels = sorted({*labels_of(table.dropna(axis=1, how="all")), *table["truth"]})
        columns = [f"{PROBABILITY}{label}" for label in labels]
        chances = {model: own.reindex(columns=columns) for model, own in tables.items()}
        return cls(
            first[["utterance", *METADATA]],
            first["truth"].to_numpy(dtype=object),
            {model: own["prediction"].to_numpy(dtype=object) for model, own in tables.items()},
            labels,
            # an emotion that a model does not know has no chance
            {model: own.fillna(0.0).to_numpy() for model, own in chances.items() if own.notna().any(axis=None)},
        )

    @property
    def models(self) -> list[str]:
        """Return the names of the models."""
        return list(self.predictions)

    @property
    def headline(self) -> list[str]:
        """Return UAR and accuracy."""
        return ["uar", "accuracy"]

    @property
    def classes(self) -> np.ndarray:
        """Return the number of each true emotion among ``labels``, [utterances]."""
        return pd.Index(self.labels).get_indexer(self.truth)

    def scores(self, model: str) -> dict[str, float]:
        """Return UAR, accuracy, F1 and the recall of each class; of probabilities also ECE and the Brier score."""
        found = classification(self.truth, self.predictions[model])
        recalls = recall_per_class(self.truth, self.predictions[model])
        found |= {f"recall.{label}": value for label, value in recalls.items()}
        if model in self.probabilities:
            found["ece"] = expected_calibration_error(self.probabilities[model], self.classes)
            found["brier"] = brier_score(self.probabilities[model], self.classes)
        return found

    def intervals(self, model: str) -> dict[str, Interval]:
        """Return the intervals of :func:`emopipe.scoring.bootstrap.classification_intervals`."""
        found = classification_intervals(self.truth, self.predictions[model], self.utterances["speaker"])
        if model == MAJORITY:
            note = "one answer for all: one recall is 1 and the others 0, whoever speaks"
            found["uar"] = found["uar"]._replace(low=None, high=None, note=note)
        return found

    def differences(self, a: Sequence[str], b: Sequence[str]) -> dict[str, Difference]:
        """Return the differences of :func:`emopipe.scoring.paired.classification_difference`."""
        sides = [[self.predictions[model] for model in side] for side in (a, b)]
        return classification_difference(self.truth, *sides, self.utterances["speaker"])

    def mcnemar(self, a: str, b: str) -> McNemar:
        """Return McNemar's test of the accuracies of two models."""
        return mcnemar(*(self.predictions[model] == self.truth for model in (a, b)))


@dataclass(frozen=True)
class VadTarget:
    """Valence, arousal and dominance of each utterance, or some of them."""

    utterances: pd.DataFrame
    dimensions: list[str]
    truth: np.ndarray  # [utterances, dimensions]
    predictions: dict[str, np.ndarray]  # of each model, [utterances, dimensions]

    @classmethod
    def of(cls, table: pd.DataFrame) -> Self:
        """Return the target of the rows of one branch in a table of dimensions; see :meth:`Target.of`."""
        unknown = table.loc[table["truth"].isna(), "utterance"]
        table = table[~table["utterance"].isin(unknown)]
        table = table.iloc[pd.factorize(table["utterance"])[0].argsort(kind="stable")]  # one order for all dimensions
        dimensions = list(table["dimension"].unique())
        parts = [_by_model(own, list(table["model"].unique())) for _, own in table.groupby("dimension", sort=False)]
        first = [next(iter(part.values())) for part in parts]
        return cls(
            (first[0] if first else table)[["utterance", *METADATA]],
            dimensions,
            _columns(first, "truth"),
            {model: _columns([part[model] for part in parts], "prediction") for model in table["model"].unique()},
        )

    @property
    def models(self) -> list[str]:
        """Return the names of the models."""
        return list(self.predictions)

    @property
    def headline(self) -> list[str]:
        """Return the concordance correlation of each dimension and their mean."""
        return [f"ccc.{name}" for name in (*self.dimensions, "mean")]

    def scores(self, model: str) -> dict[str, float]:
        """Return every score of each dimension and their mean."""
        return _defined(regression(self.truth, self.predictions[model], self.dimensions), [model])

    def intervals(self, model: str) -> dict[str, Interval]:
        """Return the intervals of :func:`emopipe.scoring.bootstrap.regression_intervals`."""
        speakers = self.utterances["speaker"]
        found = regression_intervals(self.truth, self.predictions[model], speakers, self.dimensions)
        return _defined(found, [model])

    def differences(self, a: Sequence[str], b: Sequence[str]) -> dict[str, Difference]:
        """Return the differences of :func:`emopipe.scoring.paired.regression_difference`."""
        sides = [[self.predictions[model] for model in side] for side in (a, b)]
        found = regression_difference(self.truth, *sides, self.utterances["speaker"], self.dimensions)
        return _defined(found, [*a, *b])


TARGETS: dict[str, type[Target]] = {"emotion": EmotionTarget, "vad": VadTarget}


def _defined(scores: Mapping[str, Mapping[str, Any]], models: Sequence[str]) -> dict[str, Any]:
    return flatten({score: found for score, found in scores.items() if MEAN not in models or score in CONSTANT})


def _by_model(table: pd.DataFrame, models: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Return the rows of each model, all in the order of the first."""
    parts = [table[table["model"] == model] for model in models]
    return dict(zip(models, aligned(parts, ["truth", "speaker"]), strict=True)) if parts else {}


def _columns(tables: Sequence[pd.DataFrame], column: str) -> np.ndarray:
    return np.column_stack([own[column].to_numpy() for own in tables]) if tables else np.empty((0, 0))
