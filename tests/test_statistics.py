"""Intervals cover the truth as often as they say; tests between models, calibration and fairness agree with others."""

from __future__ import annotations

import audmetric
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax
from scipy.stats import binomtest, kstest
from sklearn import metrics

from stages.contracts.errors import UserError
from stages.scoring import bootstrap as boot
from stages.scoring.calibration import (
    brier_score,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)
from stages.scoring.classification import classification, recalls
from stages.scoring.fairness import by_group
from stages.scoring.intervals import Interval
from stages.scoring.mcnemar import mcnemar
from stages.scoring.paired import aligned, classification_difference, regression_difference
from stages.scoring.regression import regression
from stages.scoring.sums import classification_scores, confusion_counts, regression_scores, regression_sums

CLASSES = np.array(["anger", "happiness", "neutral", "sadness"])
SHARES = np.array([0.4, 0.3, 0.2, 0.1])  # of the classes: unequal, as in real corpora
RECALLS = np.array([0.8, 0.7, 0.6, 0.5])
labels = st.sampled_from(list(CLASSES))
speakers = st.sampled_from(["", "s/1", "s/2", "s/3"])
numbers = st.floats(1, 5, allow_nan=False).map(lambda value: round(value, 3))


def answers(generator, sizes, between=0.0, recall=RECALLS):
    """Return truth, prediction and speaker of simulated utterances; ``between`` is how much speakers differ."""
    speaker = np.repeat(np.arange(len(sizes)), sizes)
    truth = generator.choice(4, size=len(speaker), p=SHARES)
    right = expit(logit(recall) + between * generator.normal(size=(len(sizes), 1)))[speaker, truth]
    wrong = (truth + generator.integers(1, 4, size=len(truth))) % 4
    prediction = np.where(generator.random(len(truth)) < right, truth, wrong)
    return CLASSES[truth], CLASSES[prediction], np.char.add("s/", speaker.astype(str))


def ratings(generator, sizes, between):
    """Return truth, prediction and speaker of simulated ratings, [utterances, 1] each."""
    speaker = np.repeat(np.arange(len(sizes)), sizes)
    truth = 3 + between * generator.normal(size=len(sizes))[speaker] + 0.8 * generator.normal(size=len(speaker))
    bias = between * generator.normal(size=len(sizes))[speaker]
    prediction = 3 + 0.6 * (truth - 3) + bias + 0.5 * generator.normal(size=len(speaker))
    return truth[:, None], prediction[:, None], np.char.add("s/", speaker.astype(str))


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
    expected = classification(truth, prediction) | {f"recall_{k}": v for k, v in recalls(truth, prediction).items()}
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
    sums = regression_sums(*numbers, cluster)
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
    recalls = expit(logit(recall) + deviation).mean(0)
    expected = {"accuracy": float(SHARES @ recalls), "uar": float(recalls.mean())}

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


def test_scores_of_groups_leave_out_the_unknown_and_the_small():
    table = pd.DataFrame({"truth": list("aabb") * 7, "prediction": list("aabbabbb") * 3 + list("aaaa")})
    table["sex"] = ["female"] * 12 + ["male"] * 8 + ["other"] * 4 + [""] * 4
    found = by_group(table, "sex", least=8)
    assert list(found.scores.index) == ["female", "male"]
    for name, group in table.groupby("sex"):
        if name in found.scores.index:
            assert found.scores.loc[name, "uar"] == pytest.approx(
                audmetric.unweighted_average_recall(group["truth"], group["prediction"])
            )
    assert found.gaps["uar"] == pytest.approx(found.scores["uar"].max() - found.scores["uar"].min())
    assert by_group(table, "sex", least=10).gaps == {"accuracy": None, "uar": None}
