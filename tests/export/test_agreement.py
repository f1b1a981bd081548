"""What is called agreement: the numbers against plain formulas, and where it ends."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score

from emopipe.export.agreement import of_probabilities, of_ratings
from emopipe.scoring.regression import concordance_cc

LABELS = ["anger", "fear", "joy"]


def chances(count, seed=0):
    return softmax(np.random.default_rng(seed).normal(size=(count, 3)) * 2, axis=1)


def emotions(values):
    return pd.DataFrame({"emotion": values})


def test_the_numbers_are_those_of_the_formulas():
    before, after = chances(200), chances(200, 1)
    truth = np.random.default_rng(2).choice([*LABELS, "other", ""], 200)  # two that the model does not know
    found = of_probabilities(before, after, LABELS, emotions(truth))
    said, says = (np.array(LABELS)[answers.argmax(1)] for answers in (before, after))
    known = np.isin(truth, LABELS)
    assert found.largest_difference == np.abs(before - after).max()
    assert found.mean_difference == pytest.approx(np.abs(before - after).mean())
    assert found.changed_labels == (said != says).sum()
    assert found.differ_by_more == (np.abs(before - after).max(1) > 1e-4).sum()
    assert found.before == pytest.approx(balanced_accuracy_score(truth[known], said[known]))
    assert found.after == pytest.approx(balanced_accuracy_score(truth[known], says[known]))
    assert found.facts()["uar"] == {"emopipe": found.before, "exported": found.after}
    assert str(found).endswith(f"UAR is {found.after:.4f}, was {found.before:.4f}")


def test_ratings_are_compared_by_concordance_over_those_that_are_rated():
    generator = np.random.default_rng(0)
    before, after, truth = (generator.uniform(1, 5, (50, 2)) for _ in range(3))
    truth[::7, 1] = np.nan
    found = of_ratings(before, after, ["valence", "arousal"], pd.DataFrame(truth, columns=["valence", "arousal"]))
    known = ~np.isnan(truth).any(1)
    assert known.sum() < 50 and found.changed_labels is None
    for score, answers in ((found.before, before), (found.after, after)):
        own = [concordance_cc(truth[known, i], answers[known, i]) for i in range(2)]
        assert score == pytest.approx(np.mean(own))
    assert found.facts()["ccc"] == {"emopipe": found.before, "exported": found.after}


@given(st.integers(1, 3000), st.integers(0, 4))
def test_of_a_thousand_float32_answers_one_may_differ_by_more(count, others):
    others = min(others, count)
    before = np.full((count, 3), 1 / 3)
    after = before + np.array([9e-5, -9e-5, 0])
    after[:others] += np.array([2e-4, -2e-4, 0])
    found = of_probabilities(before, after, LABELS, None)
    assert found.differ_by_more == others
    assert found.is_enough(exact=True) == (others <= count // 1000)
    after[0] = before[0] + np.array([0.011, -0.011, 0])  # that is no rounding
    assert not of_probabilities(before, after, LABELS, None).is_enough(exact=True)


def test_of_ratings_the_width_of_the_scale_counts():
    before = np.full((5, 3), 3.0)
    for difference, enough in ((3.9e-4, True), (4.1e-4, False)):
        found = of_ratings(before, before + difference, ["a", "b", "c"], None)
        assert found.is_enough(exact=True) == enough


def test_other_precisions_may_move_by_a_point():
    truth = np.repeat(LABELS, 100)
    before = np.array([[name == label for label in LABELS] for name in truth], dtype=float) * 0.8 + 0.1
    for changed, enough in ((3, True), (4, False)):  # of three hundred
        after = before.copy()
        after[:changed] = after[:changed, ::-1]
        found = of_probabilities(before, after, LABELS, emotions(truth))
        assert found.changed_labels == changed and not found.is_enough(exact=True)
        assert found.is_enough(exact=False) == enough


def test_one_label_of_a_small_test_set_may_be_another_if_the_rest_is_alike():
    truth = np.repeat(LABELS, 10)  # one label makes more than three points of UAR
    before = np.array([[name == label for label in LABELS] for name in truth], dtype=float) * 0.8 + 0.1
    before[:2] = [0.34, 0.33, 0.33]
    for changed, noise, enough in ((1, 0.0, True), (2, 0.0, False), (1, 0.02, False)):
        after = before + noise * np.array([1, -0.5, -0.5])
        after[:changed] = [0.33, 0.34, 0.33]
        found = of_probabilities(before, after, LABELS, emotions(truth))
        assert found.changed_labels == changed and abs(found.after - found.before) > 0.03
        assert found.is_enough(exact=False) == enough


def test_a_score_that_rises_is_another_model_too():
    truth = np.repeat(LABELS, 20)
    right = np.array([[name == label for label in LABELS] for name in truth], dtype=float)
    worse = right.copy()
    worse[:4] = worse[:4, ::-1]
    assert not of_probabilities(worse, right, LABELS, emotions(truth)).is_enough(exact=False)


def test_without_truth_they_may_differ_by_a_hundredth_on_average():
    before = np.random.default_rng(0).uniform(1, 5, (100, 2))
    for difference, enough in ((0.039, True), (0.041, False)):
        assert of_ratings(before, before + difference, ["a", "b"], None).is_enough(exact=False) == enough
    before = np.full((100, 2), 0.5)  # of which any small difference makes another label
    for difference, enough in ((0.009, True), (0.011, False)):
        found = of_probabilities(before, before + difference * np.array([-1, 1]), LABELS[:2], None)
        assert found.changed_labels == 100 and found.is_enough(exact=False) == enough
        assert found.before is found.facts()["uar"] is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_no_agreement(bad):
    before, after = chances(3000), chances(3000)
    after[17] = bad
    found = of_probabilities(before, after, LABELS, None)
    assert found.differ_by_more == 1 and not found.is_enough(exact=True) and not found.is_enough(exact=False)
    ratings = of_ratings(before, after, LABELS, None)
    assert not ratings.is_enough(exact=True) and not ratings.is_enough(exact=False)
