"""Calibration: how far probabilities are from how often they are right, and the temperature that mends them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from emopipe.io.errors import UserError

BINS = 15
TEMPERATURES = (0.01, 100.0)  # between which the best one is looked for
EDGE = 0.01  # this close to an end, in log T, the best one lies beyond


def reliability(probabilities: np.ndarray, truth: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """Return how often the model is right, by how confident it says it is.

    Confidence is the largest probability; bin m of M holds the utterances with confidence in ((m − 1) / M, m / M].
    Bins without an utterance are left out.

    Args:
        probabilities: [utterances, classes]
        truth: [utterances] number of the true class
        bins: M

    Returns:
        ``bin`` (m), ``count``, ``confidence`` (its mean) and ``accuracy`` of each bin

    >>> reliability(np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]]), np.array([0, 1, 1]), bins=2)
       bin  count  confidence  accuracy
    0    2      3    0.766667  0.666667
    """
    confidence = probabilities.max(axis=1)
    edges = np.arange(1, bins) / bins
    table = pd.DataFrame(
        {
            "bin": np.searchsorted(edges, confidence, side="left") + 1,
            "confidence": confidence,
            "accuracy": (probabilities.argmax(axis=1) == truth).astype(float),
        }
    )
    means = table.groupby("bin", as_index=False).mean()
    means.insert(1, "count", table.groupby("bin").size().to_numpy())
    return means


def expected_calibration_error(probabilities: np.ndarray, truth: np.ndarray, bins: int = BINS) -> float:
    """Return ECE: Σ_m count_m / n · |accuracy_m − confidence_m|, from 0 (best) to 1.

    Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML 2017.

    Args:
        probabilities: [utterances, classes]
        truth: [utterances] number of the true class
        bins: of equal width

    >>> round(expected_calibration_error(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1])), 6)
    0.45
    """
    table = reliability(probabilities, truth, bins)
    return float((table["count"] * (table["accuracy"] - table["confidence"]).abs()).sum() / len(truth))


def brier_score(probabilities: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean over utterances of Σ_c (p_c − [c is true])², from 0 (best) to 2.

    Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78, 1950. Of two
    classes it is twice the score that is often given by that name.

    Args:
        probabilities: [utterances, classes]
        truth: [utterances] number of the true class

    >>> round(brier_score(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1])), 6)
    0.65
    """
    target = np.eye(probabilities.shape[1])[truth]
    return float(((probabilities - target) ** 2).sum(axis=1).mean())


def negative_log_likelihood(logits: np.ndarray, truth: np.ndarray, temperature: float = 1.0) -> float:
    """Return the mean over utterances of −log softmax(logits / temperature) of the true class.

    Args:
        logits: [utterances, classes]
        truth: [utterances] number of the true class
        temperature: above 0

    >>> round(negative_log_likelihood(np.array([[0.0, 0.0]]), np.array([1])), 6)
    0.693147
    """
    return -float(log_softmax(logits / temperature, axis=1)[np.arange(len(truth)), truth].mean())


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """Return the temperature T that minimises the negative log-likelihood of softmax(logits / T).

    It is fitted on the development set, never on the test set, and changes no prediction. The likelihood has one
    optimum, looked for over log T between 0.01 and 100. Where it has none in between (every utterance right: T → 0;
    logits that tell nothing: T → ∞), the development set does not say how sure to be, and T is 1.

    Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML 2017, section 4.2.

    Args:
        logits: [utterances, classes] of the development set
        truth: [utterances] number of the true class

    Raises:
        UserError: where there is no utterance

    >>> round(fit_temperature(np.array([[2.0, 0.0]] * 4), np.array([0, 0, 0, 1])), 3)  # 2 / ln 3
    1.82
    """
    if not len(truth):
        raise UserError("the development set is empty: no temperature can be fitted; calibrate with another split")
    found = minimize_scalar(
        lambda log: negative_log_likelihood(logits, truth, np.exp(log)),
        bounds=tuple(np.log(TEMPERATURES)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    inside = min(abs(found.x - np.log(TEMPERATURES))) > EDGE
    return float(np.exp(found.x)) if inside else 1.0
