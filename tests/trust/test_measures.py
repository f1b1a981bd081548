"""What is measured of a recording is what it was made with, whatever the recording."""

from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from emopipe.trust.measures import LOWEST, MEASURES, SEGMENT, measure

RATE = 16_000
LEVELS = ("loudness", "peak", "noise_floor")


def noise(seconds, level=0.1, seed=0):
    wave = np.random.default_rng(seed).normal(size=int(seconds * RATE))
    return level * (wave - wave.mean())


def test_a_tone_between_silences_is_measured_as_it_was_made():
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE)
    found = measure(np.concatenate([np.zeros(RATE // 2), tone, np.zeros(RATE // 4)]))
    assert found["duration"] == 2.75
    assert found["peak"] == pytest.approx(20 * np.log10(0.5), abs=0.01)
    assert found["loudness"] == pytest.approx(10 * np.log10(0.125 * 2 / 2.75), abs=0.01)
    assert found["leading_silence"] == pytest.approx(0.5, abs=0.01)
    assert found["trailing_silence"] == pytest.approx(0.25, abs=0.01)
    assert found["roll_off"] == pytest.approx(1000, abs=50)
    assert found["noise_floor"] == LOWEST


def test_silence_that_is_not_digital_counts_too():
    hiss = noise(3, 10 ** (-70 / 20))
    hiss[RATE : 2 * RATE] += noise(1, 0.1, seed=1)
    found = measure(hiss)
    assert (found["leading_silence"], found["trailing_silence"]) == (pytest.approx(1, abs=0.01),) * 2
    assert found["noise_floor"] == pytest.approx(-70, abs=1)


@pytest.mark.parametrize(("rate", "half"), [(8_000, 4_000), (11_025, 5_512), (16_000, 8_000)])
def test_a_recording_of_another_rate_keeps_its_bandwidth(rate, half):
    source = 0.1 * np.random.default_rng(0).normal(size=2 * rate)
    wave = np.rint(soxr.resample(source, rate, RATE, quality="HQ") * 32768) / 32768
    assert measure(wave)["bandwidth"] == pytest.approx(half, rel=0.05)
    assert measure(wave)["roll_off"] == pytest.approx(0.95 * half, rel=0.06)  # the filter begins below half the rate


@settings(deadline=None)
@given(st.integers(1, 4000), st.sampled_from([0.125, 0.5, 2.0]))
def test_louder_changes_the_levels_and_nothing_else(samples, gain):
    wave = noise(1, 0.05, seed=samples)[:samples]
    before, after = measure(wave), measure(gain * wave)
    bin_width = RATE / min(SEGMENT, samples)
    for name in MEASURES:
        step = 20 * np.log10(gain) if name in LEVELS and before[name] > LOWEST + 20 else 0
        close = 6 * bin_width if name == "bandwidth" else 1e-6  # a few bins may come to lie below the rounding
        assert after[name] == pytest.approx(before[name] + step, abs=close), name


@settings(deadline=None)
@given(arrays.arrays(np.float32, st.integers(0, 700), elements=st.floats(-1, 1, width=32)))
def test_every_recording_has_finite_measures(wave):
    found = measure(wave)
    assert tuple(found) == MEASURES
    assert all(isinstance(value, float) and np.isfinite(value) for value in found.values())
    assert 0 <= found["leading_silence"] <= found["duration"]
    assert 0 <= found["trailing_silence"] <= found["duration"]
    assert 0 <= found["roll_off"] <= 8000
    assert 0 <= found["bandwidth"] <= 8000
    assert LOWEST <= found["loudness"] <= 0


@pytest.mark.parametrize("wave", [np.zeros(0), np.zeros(1), np.ones(1), np.zeros(5000), np.full(5000, 0.3)])
def test_what_holds_no_sound_is_silent_from_beginning_to_end(wave):
    found = measure(wave)
    assert (found["loudness"], found["noise_floor"]) == (LOWEST, LOWEST)
    assert (found["roll_off"], found["bandwidth"]) == (0, 0)
    assert found["leading_silence"] == found["trailing_silence"] == found["duration"] == len(wave) / RATE
