"""Tones, noise and other talkers stand to the speech as their level says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import kurtosis

from emopipe.conditions.amplitude import rms
from emopipe.conditions.catalogue import apply
from emopipe.conditions.noise import pink_noise

TIMES = np.arange(48_000) / 16_000


def added(name: str, level: str, samples: np.ndarray, utterance: str, others: Sequence[np.ndarray] = ()) -> np.ndarray:
    """Return what a condition adds that does not restore the level; the samples must be soft enough."""
    found = apply(name, level, samples, utterance, 1, others).astype(np.float64)
    assert np.abs(found).max() < 1
    return found - samples


def ratio(samples: np.ndarray, noise: np.ndarray) -> float:
    return 20 * np.log10(rms(samples) / rms(noise))


@pytest.mark.parametrize("snr", [30, 20, 10])
def test_gaussian_noise_has_its_ratio_whatever_the_length(snr, speech):
    for length in (50, 1000, len(speech)):
        samples = speech[5000 : 5000 + length]
        for utterance in "abc":
            noise = added("gaussian_noise", f"{snr}dB", samples, utterance)
            assert ratio(samples, noise) == pytest.approx(snr, abs=0.1)


def test_white_noise_has_its_ratio_after_the_level_is_restored(speech):
    found = apply("white_noise", "20dB", speech, "a", 1).astype(np.float64)
    noise = found - speech * (speech @ found) / (speech @ speech)
    assert ratio(found - noise, noise) == pytest.approx(20, abs=0.1)


def test_white_noise_is_white_and_gaussian(speech):
    noise = np.concatenate([added("gaussian_noise", "10dB", speech, f"u{i}") for i in range(20)])
    power = np.abs(np.fft.rfft(noise)) ** 2
    bands = np.array([band.mean() for band in np.array_split(power[1:], 16)])
    assert 10 * np.log10(bands / bands.mean()) == pytest.approx(0, abs=0.2)
    assert kurtosis(noise) == pytest.approx(0, abs=0.05)


def test_faint_noise_draws_among_three_ratios(speech):
    ratios = [ratio(speech, added("faint_white_noise", "drawn", speech, f"u{i}")) for i in range(40)]
    assert {round(one) for one in ratios} == {35, 40, 45}
    assert ratios == pytest.approx([round(one) for one in ratios], abs=0.1)


def test_tones_have_whole_frequencies_and_one_of_three_ratios(speech):
    samples = np.resize(speech, len(TIMES))
    frequencies, ratios = [], []
    for i in range(60):
        tone = added("additive_tone", "drawn", samples, f"u{i}")
        spectrum = np.abs(np.fft.rfft(tone))  # three seconds: whole frequencies lie in every third place
        frequencies.append(spectrum.argmax() / 3)
        ratios.append(ratio(samples, tone))
        assert spectrum.max() ** 2 > 0.99 * (spectrum**2).sum()
    assert frequencies == [round(one) for one in frequencies]
    assert min(frequencies) >= 5000
    assert max(frequencies) <= 7000
    assert np.std(frequencies) == pytest.approx(2000 / 12**0.5, rel=0.25)
    assert {round(one) for one in ratios} == {40, 45, 50}
    assert ratios == pytest.approx([round(one) for one in ratios], abs=0.1)


def test_pink_noise_falls_by_3_db_an_octave():
    noise = pink_noise(2**20, np.random.default_rng(1))
    assert np.abs(noise).max() == pytest.approx(1)
    power = np.abs(np.fft.rfft(noise)) ** 2
    edges = [2**k for k in range(8, 20)]
    density = [10 * np.log10(power[low:high].mean()) for low, high in pairwise(edges)]
    assert np.diff(density) == pytest.approx(-10 * np.log10(2), abs=0.6)


@pytest.mark.parametrize("snr", [20, 10, 0])
def test_a_second_talker_has_its_ratio(snr, talkers):
    speech, *others = (0.3 * one for one in talkers)
    for utterance in "abcd":
        other = added("second_talker", f"{snr}dB", speech, utterance, others)
        assert ratio(speech, other) == pytest.approx(snr, abs=0.1)


def test_a_second_talker_begins_anywhere_and_again_at_the_end():
    samples, ramp = (0.1 * np.sin(2 * np.pi * 100 * TIMES)).astype(np.float32), np.arange(1, 1001, dtype=np.float32)
    starts = []
    for i in range(50):
        other = added("second_talker", "0dB", samples, f"u{i}", [ramp])
        start = round(other[0] / (other.max() / 1000)) - 1
        starts.append(start)
        expected = np.resize(np.concatenate([ramp[start:], ramp[:start]]), len(samples))
        assert np.allclose(other, expected * rms(samples) / rms(expected), atol=1e-6)
    assert len(set(starts)) > 40
    assert np.mean(starts) == pytest.approx(500, abs=150)


class Recorded(Sequence):
    """Talkers who are told by their frequencies; remembers which were asked for."""

    def __init__(self, count: int) -> None:
        self.frequencies = [1000 + 100 * i for i in range(count)]
        self.asked = []

    def __len__(self):
        return len(self.frequencies)

    def __getitem__(self, index):
        self.asked.append(index)
        return 0.5 * np.sin(2 * np.pi * self.frequencies[index] * TIMES[:16_000])


def babble(talkers: Recorded, utterance: str) -> tuple[float, np.ndarray]:
    """Return the ratio of a sine to a mixture, and the levels of its talkers."""
    samples = (0.1 * np.sin(2 * np.pi * 440 * TIMES)).astype(np.float32)
    found = apply("babble", "20dB", samples, utterance, 1, talkers).astype(np.float64)
    amplitudes = np.abs(np.fft.rfft(found))[::3]  # of whole frequencies
    signal, noise = amplitudes[440], amplitudes[talkers.frequencies]
    return 20 * np.log10(signal / np.linalg.norm(noise)), noise


def test_babble_is_the_sum_of_four_to_seven_talkers_of_drawn_gains():
    counts, gains = [], []
    for i in range(60):
        talkers = Recorded(30)
        snr, levels = babble(talkers, f"u{i}")
        assert snr == pytest.approx(20, abs=0.1)
        heard = np.flatnonzero(levels > levels.max() / 10)
        assert set(heard) == set(talkers.asked)
        assert len(talkers.asked) == len(heard)  # nobody twice, and no other waveform was read
        counts.append(len(heard))
        decibels = 20 * np.log10(levels[heard] / levels.max())
        assert decibels == pytest.approx(np.round(decibels), abs=0.01)
        gains.extend(np.round(decibels))
    assert set(counts) == {4, 5, 6, 7}
    assert min(gains) == -7  # from -20 to -13 dB


def test_few_talkers_are_taken_several_times():
    talkers = Recorded(2)
    snr, levels = babble(talkers, "a")
    assert set(talkers.asked) <= {0, 1}
    assert 4 <= len(talkers.asked) <= 7
    assert snr == pytest.approx(20, abs=0.1)
    assert levels.all()
