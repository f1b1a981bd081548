"""How sure a model is agrees with what others compute of it, and the temperature is found."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn import metrics

from emopipe.io.errors import UserError
from emopipe.scoring.calibration import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)


def test_calibration_agrees_with_loops_and_scikit_learn():
    generator = np.random.default_rng(5)
    probabilities = softmax(2 * generator.normal(size=(300, 4)), axis=1)
    truth = generator.integers(4, size=300)
    error, covered = 0.0, 0
    for m in range(1, 16):
        inside = [i for i, p in enumerate(probabilities) if (m - 1) / 15 < max(p) <= m / 15]
        if inside:
            right = np.mean([probabilities[i].argmax() == truth[i] for i in inside])
            error += len(inside) / 300 * abs(right - np.mean([max(probabilities[i]) for i in inside]))
            covered += len(inside)
    assert expected_calibration_error(probabilities, truth) == pytest.approx(error)
    assert reliability(probabilities, truth)["count"].sum() == covered == 300
    loops = [sum((p - (c == t)) ** 2 for c, p in enumerate(row)) for row, t in zip(probabilities, truth, strict=True)]
    assert brier_score(probabilities, truth) == pytest.approx(np.mean(loops))
    binary = softmax(generator.normal(size=(300, 2)), axis=1)
    half = metrics.brier_score_loss(truth % 2, binary[:, 1])
    assert brier_score(binary, truth % 2) == pytest.approx(2 * half, abs=1e-9)
    assert negative_log_likelihood(np.log(probabilities), truth) == pytest.approx(
        metrics.log_loss(truth, probabilities, labels=range(4)), abs=1e-9
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_synthetic_logits_is_found(temperature):
    generator = np.random.default_rng(6)
    logits = 3 * generator.normal(size=(20_000, 4))
    truth = (softmax(logits / temperature, axis=1).cumsum(1) < generator.random((len(logits), 1))).sum(1)
    found = fit_temperature(logits, truth)
    assert found == pytest.approx(temperature, rel=0.05)
    assert expected_calibration_error(softmax(logits / found, axis=1), truth) < 0.02
    assert fit_temperature(logits, logits.argmax(1)) == 1.0  # all right: nothing says how sure to be
    with pytest.raises(UserError, match="development set"):
        fit_temperature(logits[:0], truth[:0])
