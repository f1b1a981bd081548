"""Filters and lost packets, measured at what comes out."""

from __future__ import annotations

import numpy as np
import pytest

from emopipe.conditions.catalogue import apply

FREQUENCIES = np.array([25, 50, 100, 200, 400, 1000, 2000, 4000, 5000, 6000, 6500, 7000, 7500])
LENGTH = 16_000  # one second: place i of a spectrum is i Hz


def response(name: str, level: str, utterance: str, place: int = 0) -> np.ndarray:
    """Return the spectrum of what an impulse becomes."""
    impulse = np.zeros(LENGTH, np.float32)
    impulse[place] = 0.25
    return np.fft.rfft(apply(name, level, impulse, utterance, 1)) / 0.25


def butterworth(frequencies: np.ndarray, cutoff: float, high: bool) -> np.ndarray:
    """Return the gain in dB of a filter of first order, by the bilinear transform of the analogue one."""
    warped = np.tan(np.pi * frequencies / LENGTH) / np.tan(np.pi * cutoff / LENGTH)
    return -10 * np.log10(1 + (1 / warped**2 if high else warped**2))


@pytest.mark.parametrize(("name", "cutoffs"), [("high_pass", (50, 100, 150)), ("low_pass", (6500, 7000, 7500))])
def test_passes_have_the_response_of_a_butterworth_filter_of_first_order(name, cutoffs):
    seen = set()
    for i in range(20):
        found = 20 * np.log10(np.abs(response(name, "drawn", f"u{i}")[FREQUENCIES]))
        expected = {cutoff: butterworth(FREQUENCIES, cutoff, name == "high_pass") for cutoff in cutoffs}
        cutoff = min(cutoffs, key=lambda one: np.abs(found - expected[one]).max())
        assert found == pytest.approx(expected[cutoff], abs=0.05)
        seen.add(cutoff)
    assert seen == set(cutoffs)


@pytest.mark.parametrize(
    ("direction", "amplitude"), [("up", lambda f: f / 4000), ("down", lambda f: 1 - f / 8000)], ids=["up", "down"]
)
def test_tilt_is_linear_in_frequency_and_of_linear_phase(direction, amplitude):
    place = 8000
    found = response("spectral_tilt", direction, "a", place)
    found *= np.exp(2j * np.pi * np.arange(len(found)) * place / LENGTH)
    real = found[FREQUENCIES]
    assert np.abs(np.angle(real)).max() < 0.01  # no delay
    decibels = 20 * np.log10(np.abs(real) / amplitude(FREQUENCIES))
    heard = FREQUENCIES >= 100
    # The level of the impulse is restored: what is published is the shape.
    assert decibels[heard] == pytest.approx(np.median(decibels), abs=0.5)
    power = (amplitude(np.arange(8001)) ** 2).mean()
    assert np.median(decibels) == pytest.approx(-10 * np.log10(power), abs=0.05)


def test_a_source_of_8_khz_keeps_what_lies_below_4_khz_and_nothing_above():
    times = np.arange(LENGTH) / LENGTH
    for frequency in (100, 1000, 3000, 3500, 4300, 5000, 7000):
        tone = (0.5 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)
        found = apply("sample_rate", "8kHz", tone, "a", 1)[2000:-2000]
        level = 20 * np.log10(found.std() / tone.std())
        if frequency < 4000:
            assert level == pytest.approx(0, abs=0.1)
            assert np.allclose(found, tone[2000:-2000], atol=1e-3)  # nor is anything delayed
        else:
            assert level < -80


RATES = {"1%": 0.01, "5%": 0.05, "10%": 0.1, "20%": 0.2}
FRAMES = 12_000


def losses(name: str, level: str) -> np.ndarray:
    """Return which packets of a long signal are lost."""
    samples = np.random.default_rng(3).uniform(0.1, 0.9, FRAMES * 320 - 100).astype(np.float32)
    found = apply(name, level, samples, "a", 1)
    kept = np.pad(found != 0, (0, 100), mode="edge").reshape(FRAMES, 320)
    assert (kept.all(1) | ~kept.any(1)).all()  # whole packets of 20 ms, from the first sample on
    assert np.array_equal(found[found != 0], samples[found != 0])
    return ~kept[:, 0]


def bursts(lost: np.ndarray) -> np.ndarray:
    """Return the lengths of runs of lost packets."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]).astype(int)))
    return edges[1::2] - edges[::2]


@pytest.mark.parametrize(("level", "rate"), RATES.items())
@pytest.mark.parametrize("name", ["packet_loss", "packet_loss_bursts"])
def test_so_many_packets_are_lost_in_bursts_of_such_a_length(name, level, rate):
    lost = losses(name, level)
    burst = 4 if name == "packet_loss_bursts" else 1 / (1 - rate)
    # Four standard errors. Of a chain of two states with correlation r from one packet to the next, the variance of
    # the mean is (1 + r) / (1 - r) times that of independent packets; lengths of bursts are geometric.
    correlation = 1 - 1 / burst - rate / (burst * (1 - rate))
    error = (rate * (1 - rate) / FRAMES * (1 + correlation) / (1 - correlation)) ** 0.5
    assert lost.mean() == pytest.approx(rate, abs=4 * error)
    lengths = bursts(lost)
    spread = (burst * (burst - 1) / len(lengths)) ** 0.5
    assert lengths.mean() == pytest.approx(burst, abs=4 * spread + 1e-9)


@pytest.mark.parametrize("name", ["packet_loss", "packet_loss_bursts"])
def test_the_first_packet_is_lost_as_often_as_any(name):
    samples = np.full(960, 0.5, np.float32)
    found = np.stack([apply(name, "20%", samples, f"u{i}", 1)[::320] == 0 for i in range(1500)])
    assert found.mean(0) == pytest.approx(0.2, abs=0.045)
