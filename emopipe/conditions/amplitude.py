"""Conditions of the amplitude: gain, clipping, an offset, inverted polarity."""

from __future__ import annotations

import numpy as np


def rms(samples: np.ndarray) -> float:
    """Return the root of the mean square of samples."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def gain(samples: np.ndarray, _: np.random.Generator, decibels: float) -> np.ndarray:
    """Return samples of another level."""
    return samples * 10 ** (decibels / 20)


def gain_transition(samples: np.ndarray, generator: np.random.Generator, low: float, high: float) -> np.ndarray:
    """Return samples whose gain goes from one value to another over a time of half their length.

    Both gains are drawn evenly between ``low`` and ``high`` (dB), and so is the place where the transition begins,
    which may lie before the first sample or end behind the last one. It is linear in dB; before and behind it the gain
    is constant (RobuSER, which takes ``GainTransition`` of audiomentations).
    """
    start, end = generator.uniform(low, high, size=2)
    length = max(3, round(len(samples) / 2))
    first = int(generator.integers(2 - length, max(len(samples) - 2, 2 - length), endpoint=True))
    decibels = np.interp(np.arange(len(samples)), [first, first + length - 1], [start, end])
    return samples * 10 ** (decibels / 20)


def clip_loudest(samples: np.ndarray, _: np.random.Generator, share: float) -> np.ndarray:
    """Return samples of which the loudest are cut down to the magnitude of the loudest one that is kept.

    Args:
        samples: [samples]
        share: of them that are cut, rounded down to a whole number
    """
    number = int(share * len(samples))
    limit = np.sort(np.abs(samples))[-number - 1]
    return np.clip(samples, -limit, limit) if limit else samples


def clip_percentiles(samples: np.ndarray, _: np.random.Generator, percent: int) -> np.ndarray:
    """Return samples cut at two percentiles of their values: half of ``percent`` lie below, half above them.

    The percentiles are those of the waveform, not of its magnitude, as in RobuSER.
    """
    return np.clip(samples, *np.percentile(samples, [percent / 2, 100 - percent / 2]))


def offset(samples: np.ndarray, _: np.random.Generator, share: float) -> np.ndarray:
    """Return samples with a constant added, a share of full scale."""
    return samples + share


def invert(samples: np.ndarray, _: np.random.Generator) -> np.ndarray:
    """Return samples of the opposite sign."""
    return -samples
