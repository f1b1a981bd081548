"""Every regression loss against another implementation, and where nothing varies."""

from __future__ import annotations

import audmetric
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from emopipe.losses.regression import REGRESSION_LOSSES


def ratings(size=9, dimensions=3, seed=0):
    """Return predictions and targets that have something to do with each other, float64."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(3, 1, size=(size, dimensions))
    return torch.tensor(0.5 * truth + rng.normal(1, 0.7, size=truth.shape)), torch.tensor(truth)


def expected_regression(name, x, y):
    match name:
        case "ccc":
            return np.mean([1 - audmetric.concordance_cc(y[:, d], x[:, d]) for d in range(x.shape[1])])
        case "pcc":
            return np.mean([1 - pearsonr(x[:, d], y[:, d]).statistic for d in range(x.shape[1])])
        case "mse":
            return np.mean((x - y) ** 2)
        case "mae":
            return np.mean(np.abs(x - y))
        case "mse_ccc":
            return expected_regression("mse", x, y) + expected_regression("ccc", x, y)


@pytest.mark.parametrize("name", REGRESSION_LOSSES)
@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("size", [4, 50])
def test_a_regression_loss_equals_others_implementations(name, dimensions, size):
    x, y = ratings(size, dimensions)
    expected = expected_regression(name, x.numpy(), y.numpy())
    assert REGRESSION_LOSSES[name](x, y).item() == pytest.approx(expected, abs=1e-6)


@given(st.integers(0, 10_000), st.integers(5, 12))
@settings(max_examples=30, deadline=None)
def test_concordance_is_correlation_that_also_asks_for_the_same_mean_and_spread(seed, size):
    x, y = ratings(size, dimensions=1, seed=seed)
    ccc, pcc = REGRESSION_LOSSES["ccc"], REGRESSION_LOSSES["pcc"]
    assert abs(1 - ccc(x, y)) <= abs(1 - pcc(x, y)) + 1e-5
    torch.testing.assert_close(ccc(x, y), ccc(y, x))
    torch.testing.assert_close(pcc(x, y), pcc(3 * x - 2, y), atol=1e-5, rtol=0)
    assert ccc(y, y) == pytest.approx(0, abs=1e-5)
    assert ccc(y + 1, y) > 0.1 and ccc(3 * y, y) > 0.1
    assert pcc(y, -y) == pytest.approx(2, abs=1e-5)


@pytest.mark.parametrize("name", REGRESSION_LOSSES)
def test_the_gradients_of_a_regression_loss_are_those_of_the_loss(name):
    x, y = ratings(6)
    assert torch.autograd.gradcheck(lambda x: REGRESSION_LOSSES[name](x, y), x.requires_grad_())


@pytest.mark.parametrize("name", REGRESSION_LOSSES)
def test_one_utterance_and_equal_targets_have_finite_gradients(name):
    x, y = (values.float() for values in ratings(8))
    still = torch.full_like(x, 0.1)
    cases = [(x[:1], y[:1]), (y[:1], y[:1]), (x, torch.full_like(y, 3.3)), (still, y), (still, still)]
    for predictions, targets in cases:
        predictions = predictions.clone().requires_grad_()
        loss = REGRESSION_LOSSES[name](predictions, targets)
        (gradient,) = torch.autograd.grad(loss, predictions)
        assert loss.isfinite() and gradient.isfinite().all()
    if name in ("ccc", "pcc"):
        assert REGRESSION_LOSSES[name](x[:1], y[:1]) == 1
