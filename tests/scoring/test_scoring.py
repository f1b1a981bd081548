"""Scores agree with independent implementations, also where they degenerate."""

from __future__ import annotations

import audmetric
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from emopipe.scoring.classification import classification, recall_per_class
from emopipe.scoring.regression import concordance_cc, pearson_cc, r2, regression

labels = st.sampled_from(["anger", "happiness", "neutral", "sadness"])
numbers = st.floats(1, 5, allow_nan=False)


@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=60))
def test_classification_agrees_with_audmetric_and_scikit_learn(pairs):
    truth, prediction = zip(*pairs, strict=True)
    scores = classification(truth, prediction)
    present = sorted(set(truth))
    assert scores["uar"] == pytest.approx(np.mean([audmetric.recall_per_class(truth, prediction)[c] for c in present]))
    assert scores["accuracy"] == pytest.approx(audmetric.accuracy(truth, prediction))
    report = metrics.classification_report(truth, prediction, output_dict=True, zero_division=0)
    assert scores["macro_f1"] == pytest.approx(report["macro avg"]["f1-score"], abs=1e-6)
    assert scores["weighted_f1"] == pytest.approx(report["weighted avg"]["f1-score"], abs=1e-6)
    assert recall_per_class(truth, prediction).keys() == set(truth)


def test_uar_equals_balanced_accuracy_when_a_class_is_never_predicted():
    truth, prediction = ["a", "a", "b", "c"], ["a", "b", "b", "b"]
    assert classification(truth, prediction)["uar"] == pytest.approx(metrics.balanced_accuracy_score(truth, prediction))


@given(st.lists(st.tuples(numbers, numbers), min_size=2, max_size=60))
def test_regression_agrees_with_audmetric_and_numpy(pairs):
    truth, prediction = np.array(pairs).T
    if min(truth.std(), prediction.std()) > 1e-3:
        assert concordance_cc(truth, prediction) == pytest.approx(audmetric.concordance_cc(truth, prediction), abs=1e-6)
        assert pearson_cc(truth, prediction) == pytest.approx(np.corrcoef(truth, prediction)[0, 1], abs=1e-6)
    scores = regression(truth[:, None], prediction[:, None], ("valence",))
    assert scores["mse"]["valence"] == pytest.approx(audmetric.mean_squared_error(truth, prediction), abs=1e-9)
    assert scores["mae"]["mean"] == pytest.approx(audmetric.mean_absolute_error(truth, prediction), abs=1e-9)
    assert scores["rmse"]["mean"] ** 2 == pytest.approx(scores["mse"]["mean"])
    if truth.std() > 1e-3:
        assert scores["r2"]["mean"] == pytest.approx(metrics.r2_score(truth, prediction), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("truth", "prediction", "ccc", "pcc", "explained"),
    [
        ([2, 2], [2, 2], 1, 0, 1),
        ([2, 2], [3, 3], 0, 0, 0),
        ([1, 3], [2, 2], 0, 0, 0),
        ([3], [3], 1, 0, 1),
        ([3.3] * 3, [3.3, 3.3, 3], 0, 0, 0),
    ],
)
def test_constants_give_numbers_and_not_nan(truth, prediction, ccc, pcc, explained):
    truth, prediction = np.array(truth, float), np.array(prediction, float)
    assert concordance_cc(truth, prediction) == pytest.approx(ccc, abs=1e-12)
    assert pearson_cc(truth, prediction) == pcc
    assert r2(truth, prediction) == explained
