"""Thresholds are the published ones, groups are alike in truth, and a model that favours one of them is caught."""

from __future__ import annotations

from collections import Counter

import audmetric
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, truncnorm

from emopipe.scoring.sufficient_statistics import confusion_counts
from emopipe.trust import differences, fairness
from helpers.simulated import CLASSES

SPARSE = (50, 50, 300, 600)  # of 1000 utterances, as in the published simulation


# ---- thresholds


def test_simulated_thresholds_are_the_published_ones():
    sexes, pitches = (differences.class_thresholds(SPARSE, groups) for groups in (2, 3))
    assert [sexes[score] for score in ("uar", "precision", "recall")] == [0.075, 0.075, 0.175]
    assert [pitches[score] for score in ("uar", "precision", "recall")] == [0.075, 0.1, 0.225]
    sexes, pitches = (differences.dimension_thresholds(1000, groups) for groups in (2, 3))
    assert [sexes[score] for score in ("ccc", "precision", "recall")] == [0.075, 0.1, 0.1]
    assert [pitches[score] for score in ("ccc", "precision", "recall")] == [0.1, 0.125, 0.125]
    assert norm(0.5, 1 / 6).cdf(0.25) == pytest.approx(differences.RARE)
    assert round(differences.RARE * 1000) == 67


def test_chance_takes_balanced_classes_less_far_and_smaller_groups_further():
    balanced = differences.class_thresholds((250,) * 4, 2)
    assert balanced["recall"] <= 0.1 < differences.class_thresholds(SPARSE, 2)["recall"]
    assert balanced["uar"] < differences.class_thresholds((25,) * 4, 2)["uar"]
    assert differences.dimension_thresholds(50, 2)["ccc"] > 2 * differences.dimension_thresholds(1000, 2)["ccc"]


def test_the_simulation_agrees_with_one_that_is_made_of_others_functions():
    labels, largest = [0, 1, 2], Counter()
    for seed in range(1, differences.SIMULATIONS + 1):
        np.random.seed(seed)
        truth = np.random.choice(labels, p=np.array([20, 30, 50]) / 100, size=200)
        prediction = np.random.choice(labels, p=np.full(3, 1 / 3), size=200)
        for score, function in (
            ("recall", audmetric.recall_per_class),
            ("precision", audmetric.precision_per_class),
        ):
            own, everyone = (function(truth[:n], prediction[:n], labels) for n in (100, 200))
            largest[score] = max(largest[score], *(abs(own[label] - everyone[label]) for label in labels))
    found = differences.class_thresholds((20, 30, 50), 2)
    for score, value in largest.items():
        assert found[score] == pytest.approx(np.ceil((value - 0.003) / 0.025) * 0.025)


def test_the_random_model_of_a_dimension_is_a_truncated_normal_distribution():
    largest = 0.0
    for seed in range(1, differences.SIMULATIONS + 1):
        generator = np.random.RandomState(seed)
        draws = [truncnorm.rvs(-3, 3, loc=0.5, scale=1 / 6, size=200, random_state=generator) for _ in range(2)]
        own, everyone = (audmetric.concordance_cc(*(draw[:n] for draw in draws)) for n in (100, 200))
        largest = max(largest, abs(own - everyone))
    assert differences.dimension_thresholds(100, 2)["ccc"] == pytest.approx(np.ceil((largest - 0.003) / 0.025) * 0.025)


# ---- groups that are alike


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("fmo"), st.integers(0, 3)), min_size=1, max_size=60))
def test_groups_of_classes_are_drawn_with_the_same_truth_and_as_many_as_there_are(rows):
    groups, truth = np.array([group for group, _ in rows]), np.array([label for _, label in rows])
    drawn = fairness.alike(truth, groups, 0)
    names = sorted(set(groups))
    assert len(np.unique(drawn)) == drawn.size
    for column, name in zip(drawn.T, names, strict=True):
        assert set(groups[column]) <= {name}
        assert (truth[column] == truth[drawn[:, 0]]).all()
    least = [min(((groups == name) & (truth == label)).sum() for name in names) for label in range(4)]
    assert len(drawn) == sum(least)


def test_values_of_a_dimension_are_drawn_within_the_tolerance_and_not_more_than_a_thousand():
    generator = np.random.default_rng(0)
    groups = np.repeat(["f", "m"], [1500, 4000])
    truth = np.concatenate([generator.beta(2, 3, 1500), generator.beta(3, 2, 4000)])
    drawn = fairness.alike(truth, groups, 0.05)
    assert drawn.shape == (1000, 2)
    assert len(np.unique(drawn)) == drawn.size
    assert abs(np.diff(truth[drawn], axis=1)).max() <= 0.05
    assert (fairness.alike(truth, groups, 0.05) == drawn).all()
    assert len(fairness.alike(np.array([0.1, 0.9]), np.array(["f", "m"]), 0.05)) == 0


# ---- planted faults


def crossed(speakers=48, each=50):
    """Return sex, language, F0 and speaker of utterances: a fourth of the speakers in each sex and language."""
    who = np.repeat(np.arange(speakers), each)
    sex, language = (np.array(names)[who // step % 2] for names, step in ((["female", "male"], 1), (["de", "pl"], 2)))
    return {
        "sex": sex.astype(object), "language": language.astype(object),
        "f0": np.choose(who // 4 % 3, [120.0, 170.0, 230.0]), "speakers": [f"c/s{i:02}" for i in who],
    }  # fmt: skip


def everything(target, f0):
    series = pd.Series(f0, index=target.utterances["utterance"])
    return [*fairness.by_sex(target), *fairness.by_language(target), *fairness.by_pitch(target, series)]


def failed(results):
    return {one.test for one in results if one.passed is False}


@pytest.mark.parametrize("seed", range(2))
def test_an_unbiased_model_of_emotions_passes_and_one_that_is_biased_by_sex_fails_that_test_alone(emotion_target, seed):
    generator, own = np.random.default_rng(seed), crossed()
    f0 = own.pop("f0")
    truth, chance = (generator.choice(CLASSES, len(f0)) for _ in range(2))
    fair = np.where(generator.random(len(f0)) < 0.7, truth, chance)
    found = everything(emotion_target(truth, fair, **own), f0)
    assert all(one.passed for one in found)
    assert {one.group for one in found} == {"female", "male", "de", "pl", "low", "medium", "high"}
    biased = np.where(generator.random(len(f0)) < np.where(own["sex"] == "male", 0.55, 0.85), truth, chance)
    found = everything(emotion_target(truth, biased, **own), f0)
    assert failed(found) == {"fairness_sex"}
    assert {one.group for one in found if one.passed is False and one.score == "uar"} == {"female", "male"}


@pytest.mark.parametrize("seed", range(2))
def test_an_unbiased_model_of_dimensions_passes_and_one_that_is_biased_by_sex_fails_that_test_alone(vad_target, seed):
    generator, own = np.random.default_rng(seed), crossed()
    f0, names = own.pop("f0"), ("valence", "arousal")
    truth = np.clip(generator.normal(0.5, 1 / 6, (len(f0), 2)), 0, 1)
    noise = generator.normal(0, 0.2, (len(f0), 2))
    assert not failed(everything(vad_target(truth, truth + noise, names=names, **own), f0))
    noise[own["sex"] == "male", 0] *= 3
    found = everything(vad_target(truth, truth + noise, names=names, **own), f0)
    assert failed(found) == {"fairness_sex"}
    assert {one.subject for one in found if one.passed is False and one.score == "ccc"} == {"valence"}


def test_harder_emotions_of_one_group_are_no_bias(emotion_target, only):
    """Women who are mostly sad, and a model that takes the happy for sad as often in men."""
    generator = np.random.default_rng(0)
    sex = np.repeat(["female", "male"], 2000).astype(object)
    truth = np.where(generator.random(4000) < np.where(sex == "female", 0.8, 0.2), "sadness", "happiness")
    prediction = np.where((truth == "happiness") & (generator.random(4000) < 0.4), "sadness", truth)
    naive = {name: audmetric.precision_per_class(truth[sex == name], prediction[sex == name]) for name in set(sex)}
    assert naive["female"]["sadness"] - naive["male"]["sadness"] > 0.3
    found = fairness.by_sex(emotion_target(truth, prediction, [f"c/s{i % 40}" for i in range(4000)], sex=sex))
    assert not failed(found)
    assert only(found, score="precision", subject="sadness", group="female").n > 100


# ---- values and intervals


def test_differences_are_those_of_the_drawn_utterances(vad_target, only):
    generator = np.random.default_rng(3)
    truth = np.tile(np.clip(generator.normal(0.5, 1 / 6, 200), 0, 1), 2)
    prediction = truth + generator.normal(0.1, 0.15, 400) * np.repeat([1, 2], 200)
    sex = np.repeat(["female", "male"], 200).astype(object)
    speakers = [f"c/s{i % 10}" if i < 200 else f"c/t{i % 10}" for i in range(400)]
    found = fairness.by_language(vad_target(truth, prediction, speakers, language=sex))  # each has its like: all drawn
    ccc = audmetric.concordance_cc(truth[:200], prediction[:200]) - audmetric.concordance_cc(truth, prediction)
    one = only(found, score="ccc", group="female")
    assert one.value == pytest.approx(ccc, abs=1e-6)
    assert one.low < one.value < one.high
    mean = only(found, score="mean", group="male")
    assert mean.value == pytest.approx(prediction[200:].mean() - prediction.mean())
    for i, name in enumerate(fairness.BINS):
        one = only(found, score="recall", subject=f"valence {name}", group="male")
        inside = differences.bins(truth) == i
        if inside.sum() < differences.RARE * 200:
            assert one.passed is None
            assert one.n == inside.sum()
            continue
        right = differences.bins(prediction) == i
        assert one.value == pytest.approx(right[200:][inside[200:]].mean() - right[inside].mean())


def test_intervals_of_groups_of_speakers_cover_no_difference_as_often_as_they_say():
    generator, held = np.random.default_rng(0), []
    speaker, truth = np.repeat(np.arange(12), 20), np.tile([0, 1], 120)
    for _ in range(100):
        recall = np.clip(0.7 + 0.1 * generator.normal(size=(2, 12)), 0, 1)[:, speaker].T  # of both groups
        answers = np.where(generator.random((240, 2)) < recall, truth[:, None], 1 - truth[:, None])
        rows = pd.DataFrame({"group": ["f", "m"] * 240, "speaker": [f"{g}{s}" for s in speaker for g in "fm"]})
        sums = confusion_counts(truth.repeat(2), answers.ravel(), np.arange(480), [0, 1]).reshape(240, 2, 2, 2)
        one = next(fairness._differences(rows, sums, differences.class_scores, differences.class_sizes))
        assert (one.group, one.score) == ("f", "uar")
        held.append(one.interval.low <= 0 <= one.interval.high)
    assert 0.9 <= np.mean(held) <= 0.99


def test_chance_is_as_far_as_it_takes_utterances_that_change_their_groups():
    generator = np.random.default_rng(0)
    truth, answers = np.tile([0, 1, 2], 20), generator.integers(0, 3, (60, 2))
    sums = confusion_counts(truth.repeat(2), answers.ravel(), np.arange(120), [0, 1, 2]).reshape(60, 2, 3, 3)
    found = differences.chance(sums, differences.class_scores)
    largest = np.zeros(3)
    for _ in range(1000):
        chosen = answers[np.arange(60), generator.integers(0, 2, 60)]
        for label in range(3):
            inside = truth == label
            far = (chosen[inside] == label).mean() - (answers[inside] == label).mean()
            largest[label] = max(largest[label], abs(far))
    assert found["recall"] == pytest.approx(largest, abs=0.051)  # two steps: the largest of a thousand varies
    assert (differences.chance(sums, differences.class_scores)["recall"] == found["recall"]).all()


def test_a_model_that_varies_more_than_a_random_one_is_given_the_chance_of_its_own(vad_target):
    """One that finds half of the outer bins: of a hundred such models nobody is favoured by any, and few fail."""
    wrong = []
    for seed in range(6):
        generator = np.random.default_rng(seed)
        truth = np.clip(generator.normal(0.5, 1 / 6, 600), 0, 1)
        prediction = truth + generator.normal(0, 0.2, 600)
        sex = generator.choice(["female", "male"], 600).astype(object)
        found = fairness.by_sex(vad_target(truth, prediction, sex=sex))
        wrong.append(any(one.passed is False for one in found))
        wider = [one for one in found if "a random model" in one.note]
        assert all(one.score != "ccc" for one in wider)
        assert seed or wider
    assert sum(wrong) <= 1


def test_a_group_of_one_speaker_has_no_interval(emotion_target, only):
    truth = np.array(["anger", "sadness"] * 100, dtype=object)
    sex = np.repeat(["female", "male"], 100).astype(object)
    speakers = ["c/f"] * 100 + [f"c/m{i % 5}" for i in range(100)]
    for group in ("female", "male"):
        one = only(fairness.by_sex(emotion_target(truth, truth, speakers, sex=sex)), score="uar", group=group)
        assert (one.low, one.high, one.passed) == (None, None, True)
        assert "one speaker" in one.note


# ---- what is not applicable


def test_groups_and_classes_of_few_utterances_are_not_judged_and_counted(emotion_target, only):
    truth = np.array(["anger", "sadness"] * 60 + ["fear"] * 9, dtype=object)
    sex = np.array((["female"] * 50 + ["male"] * 51 + ["other"] * 19) + ["female"] * 9, dtype=object)
    found = fairness.by_sex(emotion_target(truth, truth, sex=sex))
    small = only(found, group="other")
    assert (small.passed, small.n) == (None, 19)
    assert "19 utterances" in small.note
    rare = only(found, subject="fear")
    assert (rare.passed, rare.n) == (None, 0)
    assert {one.passed for one in found if one not in (small, rare)} == {True}
    some = fairness.by_sex(
        emotion_target(truth, truth, sex=np.resize(["female", "female", "male", "male"], 129).astype(object))
    )
    assert only(some, subject="fear").n == 4  # in the smaller group
    assert {one.n for one in some if one.score == "uar"} == {60}  # without the rare class
    alone = fairness.by_sex(emotion_target(truth, truth, sex=np.where(sex == "female", "female", "").astype(object)))
    assert [one.passed for one in alone] == [None]
    assert "a comparison needs two" in alone[0].note
    assert [one.passed for one in fairness.by_language(emotion_target(truth, truth))] == [None]
    apart = np.where(np.arange(129) < 60, "anger", "sadness").astype(object)
    assert {one.passed for one in fairness.by_sex(emotion_target(apart, apart, sex=sex))} == {None}


def test_values_without_their_like_in_the_other_group_are_not_compared(vad_target):
    truth = np.repeat([0.2, 0.8], 50)
    sex = np.repeat(["female", "male"], 50).astype(object)
    found = fairness.by_sex(vad_target(truth, truth, sex=sex))
    assert [(one.passed, one.n) for one in found] == [(None, 0)]
    assert "of like truth" in found[0].note


def test_what_no_group_could_fail_is_not_judged(emotion_target, only):
    truth = np.repeat(["anger", "sadness"], 20).astype(object)
    sex = np.tile(["female", "male"], 20).astype(object)
    found = fairness.by_sex(emotion_target(truth, truth, sex=sex))
    one = only(found, score="recall", subject="anger", group="female")
    assert one.threshold >= 0.5
    assert one.passed is None
    assert "too few" in one.note


def test_a_class_that_is_never_answered_has_no_precision(emotion_target, only):
    truth = np.array(["anger", "sadness"] * 100, dtype=object)
    sex = np.repeat(["female", "male"], 100).astype(object)
    found = fairness.by_sex(emotion_target(truth, np.full(200, "anger", dtype=object), sex=sex))
    one = only(found, score="precision", subject="sadness", group="male")
    assert (one.value, one.passed, one.note) == (None, None, "never answered")


def test_the_order_of_the_utterances_does_not_matter(emotion_target):
    generator = np.random.default_rng(7)
    truth, prediction = (generator.choice(CLASSES, 400) for _ in range(2))
    sex = generator.choice(["female", "male"], 400, p=[0.3, 0.7]).astype(object)
    target = emotion_target(truth, prediction, [f"c/{s}{i % 9}" for i, s in enumerate(sex)], sex=sex)
    mixed = generator.permutation(400)
    other = type(target)(
        target.utterances.iloc[mixed].reset_index(drop=True), target.truth[mixed],
        {"trained": target.predictions["trained"][mixed]}, target.labels, {},
    )  # fmt: skip
    assert fairness.by_sex(target) == fairness.by_sex(other)
