"""Scores of a regression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from sklearn.metrics import mean_absolute_error, mean_squared_error

from emopipe.schemas.manifest import DIMENSIONS


def concordance_cc(truth: np.ndarray, prediction: np.ndarray) -> float:
    r"""Return the concordance correlation coefficient, 2 cov / (var_t + var_p + (mean_t − mean_p)²).

    Two equal constants agree perfectly, 1; other constants not at all, 0.

    Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45, 1989.

    >>> round(concordance_cc(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])), 6)
    0.571429
    """
    covariance = np.mean((truth - truth.mean()) * (prediction - prediction.mean()))
    spread = truth.var() + prediction.var() + (truth.mean() - prediction.mean()) ** 2
    return float(2 * covariance / spread) if spread > 0 else 1.0


def pearson_cc(truth: np.ndarray, prediction: np.ndarray) -> float:
    r"""Return Pearson's correlation; 0 where either side is constant and it is not defined.

    >>> pearson_cc(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0]))
    1.0
    """
    if np.ptp(truth) == 0 or np.ptp(prediction) == 0:  # rounding gives equal values a little spread
        return 0.0
    spread = truth.std() * prediction.std()
    covariance = np.mean((truth - truth.mean()) * (prediction - prediction.mean()))
    return float(np.clip(covariance / spread, -1, 1)) if spread > 0 else 0.0


def r2(truth: np.ndarray, prediction: np.ndarray) -> float:
    r"""Return R², 1 − Σ (t − p)² / Σ (t − mean_t)²: below 0 is worse than always saying the mean.

    Of a constant truth it is 1 where every prediction is right, else 0.

    >>> r2(np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0]))
    -0.5
    """
    error, variance = np.mean((truth - prediction) ** 2), (truth - np.median(truth)).var()  # of equal values exactly 0
    return float(1 - error / variance) if variance > 0 else float(error == 0)


T = TypeVar("T")

SCORES = {
    "mse": lambda truth, prediction: float(mean_squared_error(truth, prediction)),
    "rmse": lambda truth, prediction: float(np.sqrt(mean_squared_error(truth, prediction))),
    "mae": lambda truth, prediction: float(mean_absolute_error(truth, prediction)),
    "ccc": concordance_cc,
    "pcc": pearson_cc,
    "r2": r2,
}


def regression(
    truth: np.ndarray, prediction: np.ndarray, names: Sequence[str] = DIMENSIONS
) -> dict[str, dict[str, float]]:
    """Return every score for every dimension and their mean.

    Args:
        truth: [utterances, dimensions]
        prediction: likewise
        names: of the dimensions

    Returns:
        ``{"mse": {"valence": ..., ..., "mean": ...}, "rmse": ..., "mae": ..., "ccc": ..., "pcc": ..., "r2": ...}``
    """
    truth, prediction = truth.astype(np.float64), prediction.astype(np.float64)
    result: dict[str, dict[str, float]] = {}
    for score, function in SCORES.items():
        values = {name: function(truth[:, i], prediction[:, i]) for i, name in enumerate(names)}
        result[score] = values | {"mean": float(np.mean(list(values.values())))}
    return result


def means(truth: np.ndarray, prediction: np.ndarray, names: Sequence[str] = DIMENSIONS) -> dict[str, float]:
    """Return the mean of every score over the dimensions, of ``rmse`` the root of the mean ``mse``.

    Args:
        truth: [utterances, dimensions]
        prediction: likewise
        names: of the dimensions
    """
    found = {score: values["mean"] for score, values in regression(truth, prediction, names).items()}
    return found | {"rmse": float(np.sqrt(found["mse"]))}


def flatten(scores: Mapping[str, Mapping[str, T]]) -> dict[str, T]:
    """Return what is known of every score and dimension under one name.

    >>> flatten({"ccc": {"valence": 0.5, "mean": 0.4}})
    {'ccc.valence': 0.5, 'ccc.mean': 0.4}
    """
    return {f"{score}.{name}": found for score, parts in scores.items() for name, found in parts.items()}
