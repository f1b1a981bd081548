"""Selective prediction agrees with its definitions, and its guarantees hold where they are said to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from emopipe.scoring.selective import (
    aurc,
    confidence_threshold,
    conformal_threshold,
    prediction_sets,
    risk_coverage,
    weights,
)


@st.composite
def predictions(draw):
    """Return probabilities that are often equal, targets, and speakers, some of them unknown."""
    count = draw(st.integers(1, 40))
    rows = draw(arrays.arrays(np.int64, (count, 3), elements=st.integers(1, 4)))
    targets = draw(arrays.arrays(np.int64, count, elements=st.integers(0, 2)))
    return rows / rows.sum(1, keepdims=True), targets, draw(arrays.arrays(np.int64, count, elements=st.integers(-1, 5)))


@given(predictions(), st.floats(0.01, 1))
def test_a_threshold_covers_what_was_asked_for_and_the_next_higher_one_does_not(given_, coverage):
    probabilities, _, speakers = given_
    confidence, shares = probabilities.max(1), weights(speakers)
    threshold = confidence_threshold(probabilities, speakers, coverage)
    assert shares[confidence >= threshold].sum() >= coverage - 1e-6
    assert shares[confidence > threshold].sum() < coverage + 1e-6
    assert threshold in confidence


@given(predictions())
def test_speakers_count_the_same_and_one_who_is_unknown_is_another_each_time(given_):
    _, _, speakers = given_
    shares = weights(speakers)
    assert shares.sum() == pytest.approx(1)
    others = len(set(speakers.tolist()) - {-1}) + (speakers == -1).sum()
    for speaker in set(speakers.tolist()) - {-1}:
        assert shares[speakers == speaker].sum() == pytest.approx(1 / others)


@given(predictions(), st.sampled_from([0.5, 0.75, 0.8, 0.9, 1.0]))
def test_a_conformal_threshold_is_the_quantile_of_the_definition(given_, coverage):
    probabilities, targets, speakers = given_
    threshold, guarantee = conformal_threshold(probabilities, targets, speakers, coverage)
    scores = [1 - row[target] for row, target in zip(probabilities, targets, strict=True)]
    counts = {speaker: speakers.tolist().count(speaker) for speaker in speakers.tolist()}
    enough = -1 not in counts and len(counts) >= coverage / (1 - coverage + 1e-15) - 1e-6
    assert guarantee == ("speaker" if enough else "utterance")

    def mass(limit):
        below = [speaker for score, speaker in zip(scores, speakers.tolist(), strict=True) if score <= limit]
        if guarantee == "utterance":
            return len(below) / (len(scores) + 1)
        return sum(1 / ((len(counts) + 1) * counts[speaker]) for speaker in below)

    reaching = [score for score in scores if mass(score) >= coverage - 1e-9]
    assert threshold == min(reaching, default=math.inf)


@settings(deadline=None)
@given(predictions())
def test_the_area_is_that_of_a_random_order_among_equals(given_):
    probabilities, targets, _ = given_
    coverage, risk = risk_coverage(probabilities, targets)
    wrong, confidence = probabilities.argmax(1) != targets, probabilities.max(1)
    for share, found in zip(coverage, risk, strict=True):
        taken = round(share * len(wrong))
        last = np.sort(confidence)[::-1][taken - 1]
        surely, maybe = confidence > last, confidence == last
        expected = wrong[surely].sum() + wrong[maybe].mean() * (taken - surely.sum())
        assert found == pytest.approx(expected / taken)
    assert risk[-1] == pytest.approx(wrong.mean()) and aurc(probabilities, targets) == pytest.approx(risk.mean())


def test_the_area_of_a_perfect_order_is_the_known_one():
    # Geifman et al. 2019: with risk r in all, about r + (1 - r) log(1 - r)
    count, risk = 20_000, 0.2
    confidence = np.linspace(0.99, 0.51, count)
    targets = (np.arange(count) >= (1 - risk) * count).astype(int)
    found = aurc(np.column_stack([confidence, 1 - confidence]), targets)
    assert found == pytest.approx(risk + (1 - risk) * np.log(1 - risk), abs=1e-4)


def draw(generator, speakers, each):
    """Return answers of a model that is better for some speakers than for others, who speak more or less."""
    counts = generator.integers(1, each, speakers)
    skill = np.repeat(generator.uniform(0, 4, speakers), counts)
    targets = generator.integers(0, 4, counts.sum())
    scores = generator.standard_normal((len(targets), 4))
    scores[np.arange(len(targets)), targets] += skill
    chances = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return chances, targets, np.repeat(np.arange(speakers), counts)


@pytest.mark.parametrize(("share", "speakers"), [(0.9, 9), (0.8, 12), (0.9, 40)])
def test_an_utterance_of_a_new_speaker_is_covered_as_often_as_was_promised(share, speakers):
    generator = np.random.default_rng(0)
    covered = []
    for _ in range(1500):
        threshold, guarantee = conformal_threshold(*draw(generator, speakers, 12), share)
        assert guarantee == "speaker"
        probabilities, targets, _ = draw(generator, 1, 2)
        covered.append(prediction_sets(probabilities, threshold)[0, targets[0]])
    error = math.sqrt(share * (1 - share) / len(covered))
    assert share - 3 * error < np.mean(covered) < share + 1 / (speakers + 1) + 3 * error


def test_an_utterance_is_covered_as_often_as_was_promised_where_speakers_are_unknown():
    generator = np.random.default_rng(0)
    covered = []
    for _ in range(1500):
        probabilities, targets, _ = draw(generator, 60, 2)  # one utterance each
        threshold, guarantee = conformal_threshold(probabilities[1:], targets[1:], np.full(59, -1), 0.9)
        assert guarantee == "utterance"
        covered.append(prediction_sets(probabilities[:1], threshold)[0, targets[0]])
    error = math.sqrt(0.09 / len(covered))
    assert 0.9 - 3 * error < np.mean(covered) < 0.9 + 1 / 60 + 3 * error


@given(predictions(), st.floats(0, 1))
def test_sets_hold_the_likeliest_and_all_that_is_as_likely_as_what_they_hold(given_, threshold):
    probabilities, _, _ = given_
    inside = prediction_sets(probabilities, threshold)
    assert inside[np.arange(len(inside)), probabilities.argmax(1)].all()
    for row, within in zip(probabilities, inside, strict=True):
        assert all((1 - p <= threshold) == bool(chosen) for p, chosen in zip(row, within, strict=True) if p < row.max())
    assert prediction_sets(probabilities, math.inf).all()
