"""Tests of correctness pass and fail by what others compute, and by planted faults."""

from __future__ import annotations

from itertools import permutations

import audmetric
import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from emopipe.trust import correctness
from emopipe.trust.results import judged
from helpers.simulated import CLASSES, RECALLS, answers

ALL = {"test": "correctness_classification", "subject": ""}


def test_scores_of_emotions_are_those_that_others_compute(emotion_target, only):
    truth, prediction, speaker = answers(np.random.default_rng(0), [30] * 12)
    found = correctness.emotions(emotion_target(truth, prediction, speaker))
    uar, uap = (only(found, score=score, **ALL) for score in ("uar", "uap"))
    assert uar.value == pytest.approx(audmetric.unweighted_average_recall(truth, prediction))
    assert uar.low < uar.value < uar.high
    assert uap.value == pytest.approx(audmetric.unweighted_average_precision(truth, prediction))
    theirs = {
        "recall": audmetric.recall_per_class(truth, prediction),
        "precision": audmetric.precision_per_class(truth, prediction),
    }
    for score, values in theirs.items():
        for label, value in values.items():
            one = only(found, test="correctness_classification", score=score, subject=label)
            assert one.value == pytest.approx(value)
            assert one.passed == (round(value, 2) > 0.5)
            assert one.n == ((truth if score == "recall" else prediction) == label).sum()
    for label in CLASSES:
        one = only(found, test="correctness_distribution", subject=label)
        assert one.value == pytest.approx(abs((prediction == label).mean() - (truth == label).mean()))


def test_a_right_model_passes_everything_and_a_constant_one_fails_what_it_must(emotion_target):
    generator = np.random.default_rng(1)
    speaker = np.repeat([f"c/s{i}" for i in range(8)], 80)
    shares = generator.dirichlet(np.full(4, 5), size=8)
    truth = np.concatenate([generator.choice(CLASSES, 80, p=share * 0.6 + 0.1) for share in shares])
    assert all(one.passed for one in correctness.emotions(emotion_target(truth, truth, speaker)))

    constant = np.full(len(truth), "neutral", dtype=object)
    failed = {
        (one.test.removeprefix("correctness_"), one.score, one.subject)
        for one in correctness.emotions(emotion_target(truth, constant, speaker))
        if not one.passed
    }
    others = ("anger", "happiness", "sadness")
    assert failed >= {("classification", "recall", label) for label in others}
    assert failed >= {("distribution", "share", label) for label in CLASSES}
    assert failed >= {("speaker_average", "mae", "neutral"), ("classification", "uar", "")}
    assert failed >= {("speaker_ranking", "spearman", label) for label in CLASSES}
    assert ("classification", "recall", "neutral") not in failed


def test_rare_classes_and_speakers_of_few_utterances_are_not_judged_and_counted(emotion_target, only):
    truth = np.array(["anger"] * 40 + ["sadness"] * 9, dtype=object)
    speaker = ["c/a"] * 20 + ["c/b"] * 20 + ["c/a"] * 8 + [""]
    found = correctness.emotions(emotion_target(truth, truth, speaker))
    rare = only(found, test="correctness_classification", score="recall", subject="sadness")
    assert (rare.passed, rare.value, rare.n) == (None, None, 9)
    assert "9 utterances" in rare.note
    average = only(found, test="correctness_speaker_average", subject="anger")
    assert (average.passed, average.n) == (True, 1)
    assert "1 of 2 speakers" in average.note
    nobody = correctness.emotions(emotion_target(truth, truth))
    assert only(nobody, test="correctness_speaker_average", subject="anger").passed is None


def test_scores_of_dimensions_are_those_that_others_compute_on_the_scale_of_0_to_1(vad_target, only):
    generator = np.random.default_rng(2)
    truth = generator.uniform(0, 1, (300, 2))
    prediction = 0.2 + 0.7 * truth + generator.normal(0, 0.1, (300, 2))
    names = ("valence", "dominance")
    found = correctness.dimensions(vad_target(truth, prediction, [f"c/s{i % 10}" for i in range(300)], names))
    functions = {
        "ccc": audmetric.concordance_cc,
        "pcc": audmetric.pearson_cc,
        "mae": audmetric.mean_absolute_error,
    }
    for i, name in enumerate(names):
        for score, function in functions.items():
            one = only(found, test="correctness_regression", score=score, subject=name)
            assert one.value == pytest.approx(function(truth[:, i], prediction[:, i]), abs=1e-6)
            assert one.low < one.value < one.high
            assert one.rule == ("<" if score == "mae" else ">")


def entropy(shares):
    shares = shares[shares > 0]
    return -(shares * np.log2(shares)).sum()


def test_the_distance_of_distributions_counts_ten_bins_and_what_lies_beyond_them(vad_target, only):
    generator = np.random.default_rng(3)
    truth, prediction = generator.beta(2, 2, 500), generator.normal(0.6, 0.3, 500)
    counts = [np.bincount(np.clip(v * 10, 0, 9).astype(int), minlength=10) / 500 for v in (truth, prediction)]
    expected = np.sqrt(entropy(sum(counts) / 2) - sum(map(entropy, counts)) / 2)
    found = correctness.dimensions(vad_target(truth, prediction))
    assert only(found, score="jensen_shannon").value == pytest.approx(expected)
    high = correctness.dimensions(vad_target(np.full(50, 0.95), np.full(50, 1.3)))
    assert only(high, score="jensen_shannon").value == 0
    apart = correctness.dimensions(vad_target(np.full(50, 0.95), np.full(50, 0.85)))
    assert only(apart, score="jensen_shannon").value == pytest.approx(1)


def test_speakers_are_ranked_by_their_means_and_upside_down_is_wrong(vad_target, only):
    generator = np.random.default_rng(4)
    speaker = np.repeat([f"c/s{i}" for i in range(10)], 12)
    level = np.repeat(generator.permutation(np.linspace(0.3, 0.7, 10)), 12)
    truth = level + generator.normal(0, 0.05, 120)
    prediction = 0.5 + 0.8 * (level - 0.5) + generator.normal(0, 0.2, 120)
    found = correctness.dimensions(vad_target(truth, prediction, speaker))
    means = [pd.Series(values).groupby(speaker).mean() for values in (truth, prediction)]
    ranking = only(found, test="correctness_speaker_ranking")
    assert ranking.value == pytest.approx(spearmanr(*means).statistic)
    average = only(found, test="correctness_speaker_average")
    assert average.value == pytest.approx((means[0] - means[1]).abs().mean())
    upside_down = correctness.dimensions(vad_target(truth, 1 - truth, speaker))
    assert only(upside_down, test="correctness_speaker_ranking").value == pytest.approx(-1)
    assert only(upside_down, test="correctness_speaker_ranking").passed is False
    alike = correctness.dimensions(vad_target(np.tile(truth[:12], 10), prediction, speaker))
    assert "do not differ" in only(alike, test="correctness_speaker_ranking").note
    six = correctness.dimensions(vad_target(truth[:72], prediction[:72], speaker[:72]))
    assert only(six, test="correctness_speaker_ranking").passed is None


def test_a_ranking_needs_as_many_speakers_as_chance_seldom_ranks_right():
    def by_chance(number):
        orders = np.array(list(permutations(range(number))))
        rho = 1 - 6 * ((orders - np.arange(number)) ** 2).sum(1) / (number * (number**2 - 1))
        return (rho.round(2) > 0.7).mean()

    assert by_chance(correctness.RANKED) < 0.05 < by_chance(correctness.RANKED - 1)


def consistent(emotion, value, dimension="arousal", times=10):
    """Return the share of utterances that are where they are expected, and the record."""
    table = pd.DataFrame({"emotion": [emotion] * times, dimension: 1 + 4 * np.full(times, value)})
    found = correctness.consistency(table)
    return found[0] if found else None


def test_dimensions_are_consistent_with_emotions_up_to_the_ends_of_the_ranges():
    for value, low, neutral, high in [(0.3, 1, 1, 0), (0.45, 1, 1, 0), (0.55, 0, 1, 1), (0.6, 0, 1, 1)]:
        assert consistent("sadness", value).value == low
        assert consistent("neutral", value).value == neutral
        assert consistent("anger", value).value == high
    assert consistent("neutral", 0.29).passed is False
    assert consistent("neutral", 0.61).passed is False  # the published code lets 0.7 pass
    assert consistent("sadness", 0.2).passed
    assert consistent("contempt", 0.2) is None
    assert consistent("anger", 0.8, times=9).passed is None
    assert consistent("happiness", 0.5, "dominance").score == "in_neutral_range"
    assert consistent("happiness", 0.5, "valence").score == "in_high_range"
    half = pd.DataFrame({"emotion": ["anger"] * 40, "arousal": [5.0] * 30 + [1.0] * 10})
    assert [(one.value, one.passed) for one in correctness.consistency(half)] == [(0.75, False)]


def test_values_are_rounded_before_they_are_compared_as_published():
    assert not judged("t", "uar", 0.504999, ">", 0.5, 1).passed
    assert judged("t", "uar", 0.5051, ">", 0.5, 1).passed
    assert not judged("t", "share", 0.1451, "<", 0.15, 1).passed
    assert not judged("t", "uar", -0.0751, "within", 0.075, 1, decimals=3).passed
    assert judged("t", "uar", -0.0744, "within", 0.075, 1, decimals=3).passed


def test_the_order_of_the_utterances_does_not_matter(emotion_target):
    truth, prediction, speaker = answers(np.random.default_rng(5), [20] * 8, recall=RECALLS)
    target = emotion_target(truth, prediction, speaker)
    mixed = np.random.default_rng(6).permutation(len(truth))
    found = [
        [one._replace(low=None, high=None) for one in correctness.emotions(of)]
        for of in (target, emotion_target(truth[mixed], prediction[mixed], speaker[mixed]))
    ]
    assert [one[:4] + one[7:] for one in found[0]] == [one[:4] + one[7:] for one in found[1]]
    assert [one.value for one in found[0]] == pytest.approx([one.value for one in found[1]], nan_ok=True)
