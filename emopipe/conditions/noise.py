"""What is added to speech: a tone, noise, other talkers.

A ratio is that of the RMS values over the whole utterance, in dB. It is exact: the level of what was drawn is measured,
not taken from its distribution. Where the speech or what is added to it is digital silence there is no such ratio, and
the speech is returned as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emopipe.conditions.amplitude import rms
from emopipe.conditions.condition import SAMPLE_RATE

TALKER_GAINS = range(-20, -12)  # dB, of each of several talkers


def _mixed(samples: np.ndarray, other: np.ndarray, snr: float) -> np.ndarray:
    signal, noise = rms(samples), rms(other)
    return samples + other * (signal / noise * 10 ** (-snr / 20)) if signal and noise else samples


def tone(samples: np.ndarray, _: np.random.Generator, frequency: float, snr: float) -> np.ndarray:
    """Return samples with a sine of a frequency in Hz, at a ratio in dB."""
    return _mixed(samples, np.sin(2 * np.pi * frequency / SAMPLE_RATE * np.arange(len(samples))), snr)


def white_noise(samples: np.ndarray, generator: np.random.Generator, snr: float) -> np.ndarray:
    """Return samples with Gaussian white noise at a ratio in dB."""
    return _mixed(samples, generator.standard_normal(len(samples)), snr)


def pink_noise(length: int, generator: np.random.Generator) -> np.ndarray:
    """Return Gaussian noise with a power that falls as 1/f, of peak 1, [length]."""
    spectrum = np.fft.rfft(generator.standard_normal(length))
    spectrum[0] = 0
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    noise = np.fft.irfft(spectrum, length)
    peak = np.abs(noise).max()
    return noise / peak if peak else noise


def talkers(
    samples: np.ndarray, generator: np.random.Generator, others: Sequence[np.ndarray], count: int, snr: float
) -> np.ndarray:
    """Return samples with the sum of several other talkers at a ratio in dB.

    Each talker starts at a random place, begins again at the end, and has a gain that is a whole number of dB out of
    :data:`TALKER_GAINS`, evenly drawn. The same waveform is drawn twice only where there are fewer than talkers.

    Args:
        samples: [samples]
        generator: draws the talkers
        others: their waveforms
        count: of talkers
        snr: of the samples to the sum of all talkers, in dB
    """
    drawn = generator.choice(len(others), count, replace=len(others) < count)
    mixture = np.zeros(len(samples))
    for number in drawn:
        waveform = np.asarray(others[int(number)], np.float64)
        start = int(generator.integers(len(waveform)))
        decibels = int(generator.choice(TALKER_GAINS))
        mixture += 10 ** (decibels / 20) * np.resize(np.roll(waveform, -start), len(samples))
    return _mixed(samples, mixture, snr)
