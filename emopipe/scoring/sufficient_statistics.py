"""Scores from sums that add up over utterances, so that a resample needs no second look at them.

Every score of :mod:`emopipe.scoring.classification` follows from the confusion counts, every score of
:mod:`emopipe.scoring.regression` from nine sums. Both add up over clusters of utterances (speakers): the scores of a
resample are those of its weights [replicates, clusters] times the sums [clusters, ...].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

AVERAGES = ("accuracy", "uar", "macro_f1", "weighted_f1")  # over the classes
CONSTANT = 1e-12  # a variance below this share of the mean square is rounding: the values are the same


def confusion_counts(
    truth: Sequence[str], prediction: Sequence[str], clusters: np.ndarray, labels: Sequence[str]
) -> np.ndarray:
    """Return how often each class was answered with each, per cluster: [clusters, true class, predicted class].

    Args:
        truth: [utterances]
        prediction: likewise
        clusters: [utterances] number of the cluster of each, from 0
        labels: every class that occurs in either

    >>> confusion_counts(["a", "b", "b"], ["a", "a", "b"], np.array([0, 0, 1]), ["a", "b"]).tolist()
    [[[1.0, 0.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]
    """
    index = pd.Index(labels)
    counts = np.zeros((clusters.max() + 1, len(index), len(index)))
    np.add.at(counts, (clusters, index.get_indexer(list(truth)), index.get_indexer(list(prediction))), 1)
    return counts


def classification_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return ``accuracy``, ``uar``, ``macro_f1`` and ``weighted_f1`` [...] and ``recall`` [..., classes].

    Recall is NaN for a class without an utterance, and UAR the mean over the others; F1 = 2 TP / (2 TP + FP + FN) is
    averaged over the classes that occur in truth or prediction.

    Args:
        counts: [..., true class, predicted class]
    """
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    actual, occurring = counts.sum(-1), counts.sum(-1) + counts.sum(-2)
    total = actual.sum(-1)
    recall, f1 = _ratio(right, actual), _ratio(2 * right, occurring)
    return {
        "accuracy": _ratio(right.sum(-1), total),
        "uar": _ratio(np.nansum(recall, -1), (actual > 0).sum(-1)),
        "macro_f1": _ratio(np.nansum(f1, -1), (occurring > 0).sum(-1)),
        "weighted_f1": _ratio(np.nansum(f1 * actual, -1), total),
        "recall": recall,
    }


def classification_sizes(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return how much each cluster bears on each of :func:`classification_scores`, keyed alike: [clusters, ...].

    That is the number of its utterances; in UAR, in which every class weighs the same, each counts as one by the
    number of utterances of its class.

    Args:
        counts: [clusters, true class, predicted class]
    """
    actual = counts.sum(-1)
    total = actual.sum(0)
    balanced = actual @ np.divide(1, total, out=np.zeros_like(total), where=total > 0)
    return {
        **dict.fromkeys(("accuracy", "macro_f1", "weighted_f1"), actual.sum(-1)),
        "uar": balanced,
        "recall": actual,
    }


def unseen_variance(counts: np.ndarray) -> float:
    """Return the variance of UAR from the classes whose recall is 0 or 1, which no resample shows.

    Five right answers of five do not make a recall of 1 certain: its variance is taken to be that of k + 1 of n + 2
    (Agresti & Coull, "Approximate is better than 'exact' for interval estimation of binomial proportions", The
    American Statistician 52, 1998; Laplace's rule of succession).

    Args:
        counts: [true class, predicted class]

    >>> round(unseen_variance(np.array([[5, 0], [2, 2]])), 4)  # 6/7 · 1/7 / 5 / 2²
    0.0061
    """
    actual = counts.sum(1)
    right, actual = np.diagonal(counts)[actual > 0], actual[actual > 0]
    share = (right + 1) / (actual + 2)
    variance = np.where((right == 0) | (right == actual), share * (1 - share) / actual, 0)
    return float(variance.sum() / len(actual) ** 2)


def regression_statistics(truth: np.ndarray, prediction: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Return n, Σt, Σp, Σt², Σp², Σtp (t and p centred), Σ(t − p), Σ|t − p| and Σ(t − p)²: [clusters, dimensions, 9].

    Args:
        truth: t, [utterances, dimensions]
        prediction: p, likewise
        clusters: [utterances] number of the cluster of each, from 0
    """
    # variance and covariance do not know the origin; near the values, differences of squares keep their digits
    t, p = truth - np.median(truth, axis=0), prediction - np.median(prediction, axis=0)
    error = truth - prediction
    terms = np.stack([np.ones_like(t), t, p, t * t, p * p, t * p, error, abs(error), error**2], axis=-1)
    sums = np.zeros((clusters.max() + 1, *terms.shape[1:]))
    np.add.at(sums, clusters, terms)
    return sums


def regression_scores(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return ``mse``, ``rmse``, ``mae``, ``ccc``, ``pcc`` and ``r2``, each [..., dimensions].

    Constants are scored as by the functions of :mod:`emopipe.scoring.regression`: with numbers, never NaN.

    Args:
        sums: [..., dimensions, 9], as of :func:`regression_statistics`
    """
    n, *others = np.moveaxis(sums, -1, 0)
    t, p, tt, pp, tp, error, absolute, squared = (term / n for term in others)
    var_t, var_p = _variance(tt, t), _variance(pp, p)
    covariance = np.where((var_t > 0) & (var_p > 0), tp - t * p, 0)
    spread = var_t + var_p + error**2
    return {
        "mse": squared,
        "rmse": np.sqrt(squared),
        "mae": absolute,
        "ccc": np.nan_to_num(_ratio(2 * covariance, spread), nan=1.0),  # no spread: equal constants
        "pcc": np.clip(np.nan_to_num(_ratio(covariance, np.sqrt(var_t * var_p))), -1, 1),
        "r2": np.where(var_t > 0, 1 - np.nan_to_num(_ratio(squared, var_t)), squared == 0),
    }


def _variance(square: np.ndarray, mean: np.ndarray) -> np.ndarray:
    variance = square - mean**2
    return np.where(variance > CONSTANT * square, variance, 0)


def _ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Return the quotient; NaN where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    return np.divide(numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator > 0)
