"""What any model has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emopipe.schemas.manifest import DIMENSIONS
from emopipe.scoring.classification import classification
from emopipe.scoring.regression import regression

CONSTANT = ("mse", "rmse", "mae", "ccc", "r2")  # what is worth knowing of one answer for all; it has no correlation


def majority_class(training: Sequence[str]) -> str:
    """Return the most frequent class; of equals the first in the alphabet.

    >>> majority_class(["b", "a", "b", "a"])
    'a'
    """
    return pd.Series(training).mode()[0]


def majority_accuracy(training: Sequence[str], truth: Sequence[str]) -> float:
    """Return the accuracy of always answering with the most frequent class of the training set.

    >>> majority_accuracy(["a", "b", "b"], ["a", "a", "b"])
    0.3333333333333333
    """
    return classification(truth, [majority_class(training)] * len(truth))["accuracy"]


def mean_prediction(training: np.ndarray, utterances: int) -> np.ndarray:
    """Return what always answering with the mean of the training set says, [utterances, dimensions].

    >>> mean_prediction(np.array([[1.0, 4.0], [2.0, 4.0]]), 2).tolist()
    [[1.5, 4.0], [1.5, 4.0]]

    Args:
        training: [training utterances, dimensions]
        utterances: how many answers
    """
    return np.tile(training.mean(axis=0), (utterances, 1))


def mean_scores(
    training: np.ndarray, truth: np.ndarray, names: Sequence[str] = DIMENSIONS
) -> dict[str, dict[str, float]]:
    """Return the scores of :func:`mean_prediction`, as those of :func:`emopipe.scoring.regression.regression`.

    >>> mean_scores(np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]]), ["valence"])["mse"]
    {'valence': 1.25, 'mean': 1.25}

    Args:
        training: [training utterances, dimensions]
        truth: [utterances, dimensions]
        names: of the dimensions
    """
    found = regression(truth, mean_prediction(training, len(truth)), names)
    return {score: found[score] for score in CONSTANT}
