"""The task of an audio model: to classify emotions, or to predict valence, arousal and dominance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd
import torch

from emopipe.audio.parameters import Model, Train
from emopipe.losses.classification import classification_loss
from emopipe.losses.regression import REGRESSION_LOSSES
from emopipe.training.data import Loss
from emopipe.training.networks import TargetScaler


class Task(Protocol):
    """What differs between classification and regression."""

    metric: ClassVar[str]  # the dev score that selects the epoch
    names: list[str]  # of the outputs: the emotions, or the dimensions

    @property
    def outputs(self) -> int:
        """Return the number of outputs."""

    def targets(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the targets of the rows of a split, [utterances, ...]."""

    def loss(self, train: Train, targets: np.ndarray) -> Loss:
        """Return the loss of a batch, given the targets of the training set."""

    def scores(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return the dev scores by name."""

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return a proper loss of every utterance of the dev set, [utterances], by which models are compared."""

    def temperature(self, outputs: np.ndarray, targets: np.ndarray) -> float | None:
        """Return the temperature fitted on the outputs of the dev set; None where they are no probabilities."""

    def config(self) -> dict[str, Any]:
        """Return what :func:`restore` needs, as it stands in config.json."""


@dataclass(frozen=True, eq=False)
class Classification:
    """One of several emotions; targets are class numbers, [utterances], and outputs scores before the softmax."""

    metric: ClassVar[str] = "uar"
    names: list[str]

    @property
    def outputs(self) -> int:
        """Return the number of classes."""
        return len(self.names)

    def targets(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the number of the class of every row."""
        return rows["emotion"].map({label: i for i, label in enumerate(self.names)}).to_numpy(dtype=np.int64)

    def loss(self, train: Train, targets: np.ndarray) -> Loss:
        """Return the loss that ``train.loss.classification`` names."""
        counts = np.bincount(targets, minlength=len(self.names)).tolist()
        return classification_loss(dict(zip(self.names, counts, strict=True)), train)

    def scores(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return ``accuracy``, ``uar``, ``macro_f1`` and ``weighted_f1``."""
        from emopipe.scoring.classification import classification  # here, as below: only a training needs the scores

        names = np.array(self.names)
        return classification(names[targets], names[outputs.argmax(1)])

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return −log p of the true class, calibrated: sharper outputs alone are no better."""
        from scipy.special import log_softmax

        logarithms = log_softmax(outputs / self.temperature(outputs, targets), axis=1)
        return -logarithms[np.arange(len(targets)), targets]

    def temperature(self, outputs: np.ndarray, targets: np.ndarray) -> float:
        """Return the temperature that makes the dev set most likely."""
        from emopipe.scoring.calibration import fit_temperature

        return fit_temperature(outputs.astype(np.float64), targets)

    def config(self) -> dict[str, Any]:
        """Return the labels in the order of their numbers."""
        return {"labels": self.names}


@dataclass(frozen=True, eq=False)
class Regression:
    """Valence, arousal and dominance, or some of them; targets and outputs are standardised, [utterances, targets]."""

    metric: ClassVar[str] = "ccc"
    names: list[str]
    scale: TargetScaler

    @property
    def outputs(self) -> int:
        """Return the number of targets."""
        return len(self.names)

    def targets(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the ratings in standard deviations from the training mean."""
        ratings = np.array(rows[self.names], dtype=np.float32, order="C")
        return self.scale.transform(torch.from_numpy(ratings)).numpy()

    def loss(self, train: Train, targets: np.ndarray) -> Loss:
        """Return the loss that ``train.loss.regression`` names."""
        return REGRESSION_LOSSES[train.loss.regression]

    def scores(self, outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
        """Return ``mse``, ``rmse``, ``mae``, ``ccc`` and ``pcc`` on the 1..5 scale, each the mean over the targets."""
        from emopipe.scoring.regression import means

        return means(self.scale.inverse_transform(targets), self.scale.inverse_transform(outputs), self.names)

    def losses(self, outputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return the squared error, the mean over the targets."""
        return ((outputs - targets) ** 2).mean(1)

    def temperature(self, outputs: np.ndarray, targets: np.ndarray) -> None:
        """Return nothing: ratings are no probabilities."""

    def config(self) -> dict[str, Any]:
        """Return names, means and standard deviations of the targets."""
        scale = {"mean": self.scale.mean.tolist(), "std": self.scale.std.tolist()}
        return {"targets": {"names": self.names, **scale}}


def task_of(settings: Model, train: pd.DataFrame) -> Task:
    """Return the task that ``model.task`` names, with what it takes from the training rows alone."""
    if settings.task == "regression":
        return Regression(settings.targets, TargetScaler.fit(train[settings.targets].to_numpy()))
    return Classification(sorted(train["emotion"].unique()))


def restore(settings: Model, config: dict[str, Any]) -> Task:
    """Return the task of a trained model, from its config.json."""
    if settings.task == "regression":
        names, mean, std = (config["targets"][key] for key in ("names", "mean", "std"))
        return Regression(names, TargetScaler(mean, std))
    return Classification(config["labels"])
