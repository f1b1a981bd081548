"""Gains, clipping and offsets do what their parameters say."""

from __future__ import annotations

import numpy as np
import pytest

from emopipe.conditions.catalogue import apply

NOISE = (0.1 * np.random.default_rng(0).standard_normal(10_001)).astype(np.float32)


def test_gains_are_drawn_among_four():
    found = [apply("gain", "drawn", NOISE, f"u{i}", 1) / NOISE for i in range(40)]
    decibels = [20 * np.log10(one) for one in found]
    assert all(np.ptp(one) < 1e-4 for one in decibels)
    means = [one.mean() for one in decibels]
    assert {round(one) for one in means} == {-2, -1, 1, 2}
    assert means == pytest.approx([round(one) for one in means], abs=1e-4)


def test_slight_clipping_cuts_a_share_of_the_loudest():
    shares = set()
    for i in range(40):
        found = apply("slight_clipping", "drawn", NOISE, f"u{i}", 1)
        (cut,) = np.nonzero(found != NOISE)
        assert set(cut) == set(np.argsort(np.abs(NOISE))[-len(cut) :])
        assert set(np.abs(found[cut])) == {np.delete(np.abs(NOISE), cut).max()}
        assert np.array_equal(np.sign(found), np.sign(NOISE))
        shares.add(len(cut))
    assert shares == {10, 20, 30}


@pytest.mark.parametrize("most", [20, 40, 60])
def test_clipping_cuts_a_drawn_share_at_both_ends(most):
    percents = []
    for i in range(200):
        found = apply("clipping", f"{most}%", NOISE, f"u{i}", 1)
        high, low = (found < NOISE).mean() * 100, (found > NOISE).mean() * 100
        assert high == pytest.approx(low, abs=0.02)
        assert high + low == pytest.approx(round(high + low), abs=0.03)
        changed = found != NOISE
        assert len(set(found[changed & (NOISE > 0)])) <= 1
        percents.append(round(high + low))
    assert min(percents) <= most / 10
    assert most * 0.9 <= max(percents) <= most
    assert np.mean(percents) == pytest.approx(most / 2, abs=most / 10)


@pytest.mark.parametrize(("low", "high"), [(-20, 0), (-30, -10), (-40, -20)])
def test_a_gain_transition_is_linear_in_decibels_over_half_of_the_utterance(low, high):
    samples, seen = np.full(8000, 0.9, np.float32), []
    whole = 0
    for i in range(100):
        decibels = 20 * np.log10(apply("gain_transition", f"{low}to{high}dB", samples, f"u{i}", 1) / samples)
        assert low - 1e-3 <= decibels.min() <= decibels.max() <= high + 1e-3
        slopes = np.diff(decibels.astype(np.float64))
        moving = np.abs(slopes) > 1e-5
        if moving.any():
            (places,) = np.nonzero(moving)
            assert places[-1] - places[0] + 1 == len(places)  # one transition
            assert np.ptp(slopes[places[1:-1]]) < 1e-4
            assert len(places) <= 3999
            whole += len(places) == 3999
        seen += [decibels[0], decibels[-1]]
    assert whole > 15  # a third lies within the utterance
    assert min(seen) < low + 2
    assert max(seen) > high - 2


@pytest.mark.parametrize(("level", "offset"), [("1%", 0.01), ("10%", 0.1)])
def test_an_offset_is_added_to_every_sample(level, offset):
    assert np.allclose(apply("dc_offset", level, NOISE, "a", 1) - NOISE, offset, atol=1e-6)


def test_polarity_changes_the_sign_alone():
    assert np.array_equal(apply("polarity", "inverted", NOISE, "a", 1), -NOISE)
