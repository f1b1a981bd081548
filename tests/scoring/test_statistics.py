"""Intervals lie around scores that others compute, and cover the truth as often as they say."""

from __future__ import annotations

import audmetric
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn import metrics

from emopipe.io.errors import UserError
from emopipe.scoring import bootstrap as boot
from emopipe.scoring.classification import classification, recall_per_class
from emopipe.scoring.intervals import Interval
from emopipe.scoring.regression import regression
from emopipe.scoring.sufficient_statistics import (
    classification_scores,
    confusion_counts,
    regression_scores,
    regression_statistics,
)
from helpers.simulated import CLASSES, RECALLS, SHARES, answers, labels, ratings, speakers

numbers = st.floats(1, 5, allow_nan=False).map(lambda value: round(value, 3))


def check(interval: Interval):
    """Whatever the data: numbers in their order, or none and the reason."""
    if interval.low is None:
        assert interval.high is None
        assert interval.error is None
        assert interval.note
    else:
        assert interval.low <= interval.value <= interval.high
        assert interval.error >= 0
        assert np.isfinite(interval[:4]).all()


@settings(deadline=None)
@given(st.lists(st.tuples(labels, labels, speakers), min_size=1, max_size=40))
def test_intervals_of_a_classification_lie_around_scores_that_others_compute(rows):
    truth, prediction, speaker = zip(*rows, strict=True)
    found = boot.classification_intervals(truth, prediction, speaker, replicates=50)
    expected = classification(truth, prediction) | {
        f"recall.{k}": v for k, v in recall_per_class(truth, prediction).items()
    }
    assert {name: interval.value for name, interval in found.items()} == pytest.approx(expected, abs=1e-9)
    report = metrics.classification_report(truth, prediction, output_dict=True, zero_division=0)
    assert found["accuracy"].value == pytest.approx(audmetric.accuracy(truth, prediction), abs=1e-6)
    assert found["macro_f1"].value == pytest.approx(report["macro avg"]["f1-score"], abs=1e-6)
    for interval in found.values():
        check(interval)


@settings(deadline=None)
@given(st.lists(st.tuples(numbers, numbers, speakers), min_size=1, max_size=40))
def test_intervals_of_a_regression_lie_around_scores_that_others_compute(rows):
    truth, prediction, speaker = zip(*rows, strict=True)
    truth, prediction = np.array(truth)[:, None], np.array(prediction)[:, None]
    found = boot.regression_intervals(truth, prediction, speaker, ("valence",), replicates=50)
    for score, expected in regression(truth, prediction, ("valence",)).items():
        values = {name: interval.value for name, interval in found[score].items()}
        assert values == pytest.approx(expected, rel=1e-9, abs=1e-9)
        for interval in found[score].values():
            check(interval)
    if min(truth.std(), prediction.std()) > 1e-2:
        ccc = audmetric.concordance_cc(truth[:, 0], prediction[:, 0])
        assert found["ccc"]["valence"].value == pytest.approx(ccc, abs=1e-6)


@pytest.mark.parametrize("clusters", [1, 4, 30])
def test_scores_of_weights_equal_scores_of_the_repeated_utterances(clusters):
    generator = np.random.default_rng(clusters)
    truth, prediction, _ = answers(generator, [60])
    numbers = [rating.repeat(3, axis=1) for rating in ratings(generator, [60], 0.0)[:2]]
    cluster = generator.permutation(np.arange(60) % clusters)
    counts = confusion_counts(truth, prediction, cluster, list(CLASSES))
    sums = regression_statistics(*numbers, cluster)
    for weights in generator.multinomial(clusters, np.full(clusters, 1 / clusters), size=20):
        rows = np.repeat(np.arange(60), weights[cluster])
        fast = classification_scores(np.tensordot(weights, counts, 1))
        for name, value in classification(truth[rows], prediction[rows]).items():
            assert fast[name] == pytest.approx(value, abs=1e-9)
        fast = regression_scores(np.tensordot(weights, sums, 1))
        for name, values in regression(numbers[0][rows], numbers[1][rows]).items():
            assert [*fast[name], fast[name].mean()] == pytest.approx(list(values.values()), rel=1e-9, abs=1e-9)


def test_the_bootstrap_agrees_with_one_that_repeats_utterances():
    truth, prediction, speaker = answers(np.random.default_rng(0), [20] * 12, between=0.5)
    found = boot.classification_intervals(truth, prediction, speaker, replicates=4000)
    generator, names = np.random.default_rng(1), np.unique(speaker)
    rows = {name: np.flatnonzero(speaker == name) for name in names}
    drawn = [np.concatenate([rows[name] for name in generator.choice(names, size=12)]) for _ in range(1000)]
    for score in ("accuracy", "uar"):
        values = [classification(truth[chosen], prediction[chosen])[score] for chosen in drawn]
        assert found[score].error == pytest.approx(np.std(values, ddof=1) * np.sqrt(12 / 11), rel=0.1)
    assert boot.classification_intervals(truth, prediction, speaker, replicates=4000) == found


def test_few_or_perfect_utterances_say_how_little_is_known():
    one = boot.classification_intervals(["a"], ["a"])["accuracy"]
    assert (one.low, one.value, one.clusters) == (None, 1.0, 1)
    speaker = boot.classification_intervals(["a", "b"] * 9, ["a", "a"] * 9, ["s"] * 18)["uar"]
    assert (speaker.low, speaker.value, speaker.clusters) == (None, 0.5, 1)
    two = boot.classification_intervals(["a", "b"] * 20, ["a", "b", "a", "a"] * 10, ["s", "t"] * 20)["accuracy"]
    assert two.high - two.low > 0.5
    assert "wide" in two.note
    perfect = boot.classification_intervals(["a", "b"] * 50, ["a", "b"] * 50)
    assert perfect["accuracy"].high == 1
    assert 0.95 < perfect["accuracy"].low < 0.97  # not [1, 1]: 100 right answers do not make the next one sure
    rare = boot.classification_intervals([*"ab" * 30, "c"], [*"ab" * 30, "c"])
    assert "c" in rare["uar"].note
    constant = boot.regression_intervals(np.arange(8.0)[:, None], np.ones((8, 1)), names=("v",))
    assert (constant["ccc"]["v"].value, constant["ccc"]["v"].low) == (0, None)
    with pytest.raises(UserError, match="empty"):
        boot.classification_intervals([], [])


def coverage(simulate, found, expected, times=1000):
    """Return how often the intervals that ``found`` returns hold what is expected, per score."""
    generator = np.random.default_rng(1)
    held = [[i.low <= expected[name] <= i.high for name, i in found(*simulate(generator))] for _ in range(times)]
    return dict(zip(expected, np.mean(held, axis=0), strict=True))


def classified(sizes, by_speaker, between=0.0, recall=RECALLS, times=1000):
    """Return the coverage of accuracy and UAR; their truth is the mean over a million speakers."""
    deviation = between * np.random.default_rng(0).normal(size=(1_000_000, 1))
    recall_per_class = expit(logit(recall) + deviation).mean(0)
    expected = {"accuracy": float(SHARES @ recall_per_class), "uar": float(recall_per_class.mean())}

    def found(truth, prediction, speaker):
        intervals = boot.classification_intervals(truth, prediction, speaker if by_speaker else None, replicates=400)
        return [(name, intervals[name]) for name in expected]

    return coverage(lambda generator: answers(generator, sizes(generator), between, recall), found, expected, times)


def test_intervals_of_independent_utterances_cover_the_truth():
    held = classified(lambda _: [1] * 150, by_speaker=False)
    assert all(0.93 <= share <= 0.97 for share in held.values()), held


def test_intervals_by_speaker_cover_the_truth_and_those_by_utterance_do_not():
    def sizes(generator):
        return generator.integers(10, 40, size=12)

    held = classified(sizes, by_speaker=True, between=0.6)
    assert all(0.93 <= share <= 0.97 for share in held.values()), held
    assert classified(sizes, by_speaker=False, between=0.6, times=200)["accuracy"] < 0.85


@pytest.mark.parametrize(("count", "between"), [(200, 0.0), (12, 0.3)])
def test_intervals_of_ccc_and_r2_cover_the_truth(count, between):
    def simulate(generator):
        return ratings(generator, [1] * count if count > 100 else generator.integers(10, 40, size=count), between)

    def found(truth, prediction, speaker):
        intervals = boot.regression_intervals(truth, prediction, speaker, ("valence",), replicates=400)
        return [(score, intervals[score]["valence"]) for score in ("ccc", "r2")]

    variance = between**2 + 0.8**2  # of the truth
    spread = variance + 0.6**2 * variance + between**2 + 0.5**2
    error = 0.4**2 * variance + between**2 + 0.5**2
    held = coverage(simulate, found, {"ccc": 2 * 0.6 * variance / spread, "r2": 1 - error / variance})
    assert all(0.93 <= share <= 0.97 for share in held.values()), held


@pytest.mark.slow
@pytest.mark.parametrize("count", [5, 10, 20, 30])
@pytest.mark.parametrize("recall", [RECALLS, np.array([0.96, 0.94, 0.92, 0.9])], ids=["low", "high"])
def test_intervals_cover_the_truth_for_many_numbers_of_speakers(count, recall):
    held = classified(lambda generator: generator.integers(15, 60, size=count), True, 0.4, recall, times=3000)
    most = 0.97 if count >= 10 else 0.99  # so few say little: too wide rather than too narrow
    assert all(0.93 <= share <= most for share in held.values()), held
