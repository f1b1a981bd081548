"""What any model has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from stages.scoring.classification import classification


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
