"""Scores of a classification."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import accuracy_score, f1_score, recall_score


def recall_per_class(truth: Sequence[str], prediction: Sequence[str]) -> dict[str, float]:
    r"""Return the recall of every class that occurs in ``truth``.

    >>> recall_per_class(["a", "a", "b"], ["a", "b", "b"])
    {'a': 0.5, 'b': 1.0}
    """
    labels = sorted(set(truth))
    values = recall_score(truth, prediction, labels=labels, average=None, zero_division=0)
    return {label: float(value) for label, value in zip(labels, values, strict=True)}


def unweighted_average_recall(truth: Sequence[str], prediction: Sequence[str]) -> float:
    r"""Return UAR: the mean over the classes in ``truth`` of their recall_per_class.

    >>> unweighted_average_recall(["a", "a", "b"], ["a", "b", "b"])
    0.75
    """
    return float(np.mean(list(recall_per_class(truth, prediction).values())))


def classification(truth: Sequence[str], prediction: Sequence[str]) -> dict[str, float]:
    """Return ``accuracy``, ``uar``, ``macro_f1`` and ``weighted_f1``.

    F1 is averaged over the classes that occur in either sequence, as scikit-learn does; recall over
    those in ``truth``: a class without a test utterance has none.
    """
    return {
        "accuracy": float(accuracy_score(truth, prediction)),
        "uar": unweighted_average_recall(truth, prediction),
        "macro_f1": float(f1_score(truth, prediction, average="macro", zero_division=0)),
        "weighted_f1": float(f1_score(truth, prediction, average="weighted", zero_division=0)),
    }
