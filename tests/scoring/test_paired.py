"""Differences between models on the same test set: their intervals and p-values, and McNemar's test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest

from emopipe.io.errors import UserError
from emopipe.scoring.classification import classification
from emopipe.scoring.mcnemar import mcnemar
from emopipe.scoring.paired import aligned, classification_difference, regression_difference
from helpers.simulated import CLASSES, answers, labels, ratings, speakers


def rival(generator, truth, prediction, share):
    """Return another model's predictions: right as often where ``share`` is 0, else that much more often."""
    right = generator.permutation(truth == prediction) | (generator.random(len(truth)) < share)
    return np.where(right, truth, np.roll(CLASSES, 1)[np.searchsorted(CLASSES, truth)])


def test_p_is_uniform_without_a_difference_and_small_with_one():
    generator, null, real = np.random.default_rng(2), [], []
    for _ in range(600):
        truth, first, speaker = answers(generator, [20] * 12, between=0.5, recall=np.full(4, 0.65))
        mix = generator.random(len(truth)) < 0.5  # each utterance's two answers are exchangeable
        other = rival(generator, truth, first, 0.0)
        a, b = np.where(mix, first, other), np.where(mix, other, first)
        null.append(classification_difference(truth, [a], [b], speaker, replicates=300)["uar"].p)
        better = rival(generator, truth, first, 0.5)
        real.append(classification_difference(truth, [better], [first], speaker, replicates=300)["uar"].p)
    assert 0.03 <= np.mean(np.array(null) < 0.05) <= 0.07
    assert kstest(null, "uniform").pvalue > 0.01
    assert np.mean(np.array(real) < 0.05) > 0.9


@settings(deadline=None)
@given(st.lists(st.tuples(labels, labels, labels, speakers), min_size=1, max_size=30))
def test_p_and_interval_of_a_difference_agree(rows):
    truth, a, b, speaker = zip(*rows, strict=True)
    for name, found in classification_difference(truth, [a], [b], speaker, replicates=50).items():
        expected = classification(truth, a)[name] - classification(truth, b)[name]
        assert found.value == pytest.approx(expected, abs=1e-9)
        if found.low is None:
            assert found.note
            assert found.p in (None, 1.0)
        else:
            assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_runs_of_other_seeds_widen_the_interval():
    generator = np.random.default_rng(3)
    truth, prediction, speaker = answers(generator, [20] * 12)
    runs = [rival(generator, truth, prediction, share) for share in (0.0, 0.2, 0.4)]
    once = classification_difference(truth, runs[1:2], [prediction], speaker)["accuracy"]
    often = classification_difference(truth, runs, [prediction] * 3, speaker)["accuracy"]
    assert often.a == pytest.approx(np.mean([classification(truth, run)["accuracy"] for run in runs]))
    assert often.high - often.low > 1.2 * (once.high - once.low)
    assert "single run" in classification_difference(truth, runs, [prediction], speaker)["accuracy"].note


def test_a_regression_is_compared_dimension_by_dimension():
    truth, prediction, speaker = ratings(np.random.default_rng(4), [20] * 12, 0.3)
    found = regression_difference(truth, [prediction], [np.full_like(truth, 3.0)], speaker, ("valence",))
    assert found["ccc"]["valence"].p < 0.01 < found["ccc"]["mean"].low
    same = regression_difference(truth, [prediction], [prediction], speaker, ("valence",))["mse"]["mean"]
    assert (same.low, same.p) == (None, 1.0)


def test_tables_are_aligned_or_refused():
    first = pd.DataFrame({"utterance": ["c/1", "c/2", "c/3"], "truth": ["a", "b", "a"], "prediction": ["a", "a", "b"]})
    permuted = first.iloc[[2, 0, 1]]
    pd.testing.assert_frame_equal(aligned([first, permuted], ["truth"])[1], first)
    with pytest.raises(UserError, match=r"truth of 1 utterance.*tables 1 and 2: c/2"):
        aligned([first, permuted.replace({"truth": {"b": "a"}})], ["truth"])
    with pytest.raises(UserError, match=r"1 utterance.*table 1 are not in table 2: c/3"):
        aligned([first, first.iloc[:2]], ["truth"])
    with pytest.raises(UserError, match=r"table 2 are not in table 1: c/3"):
        aligned([first.iloc[:2], first], ["truth"])
    with pytest.raises(UserError, match="more than once: c/1"):
        aligned([first, first.iloc[[0, 0, 1, 2]]], ["truth"])


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (8, 1), (12, 12), (20, 4), (30, 12), (300, 260)])
def test_mcnemar_agrees_with_the_binomial_test(only_a, only_b):
    a, b = np.repeat([True, False, True], [only_a, only_b, 9]), np.repeat([False, True, True], [only_a, only_b, 9])
    found, total = mcnemar(a, b), only_a + only_b
    expected = binomtest(only_a, total).pvalue if total else 1.0
    if found.method == "mid-p":
        expected -= np.prod([(i + only_a) / i / 2 for i in range(1, only_b + 1)]) / 2**only_a  # P(K = k)
    assert found[:3] == pytest.approx((only_a, only_b, expected))
    assert found.method == ("exact" if total < 25 else "mid-p")
