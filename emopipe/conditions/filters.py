"""Conditions of the spectrum: high and low pass, spectral tilt, a lower sample rate."""

from __future__ import annotations

from typing import Literal

import numpy as np
import soxr

from emopipe.conditions.condition import SAMPLE_RATE

TAPS = 1024  # of the filters of spectral tilt


def butterworth(
    samples: np.ndarray, _: np.random.Generator, kind: Literal["highpass", "lowpass"], cutoff: float, order: int = 1
) -> np.ndarray:
    """Return samples through a causal Butterworth filter; the cutoff is in Hz, where 3 dB are lost."""
    from scipy.signal import butter, sosfilt

    return sosfilt(butter(order, cutoff, kind, fs=SAMPLE_RATE, output="sos"), samples)


def tilt(samples: np.ndarray, _: np.random.Generator, direction: Literal["up", "down"]) -> np.ndarray:
    """Return samples through a filter of linear phase whose amplitude is linear in the frequency f.

    Up it is f / 4000 Hz, down 1 − f / 8000 Hz: the response, measured, of the two filters of 1024 taps that ser-tests
    keeps as files. The delay is taken off.
    """
    from scipy.signal import fftconvolve

    share = np.fft.rfftfreq(TAPS) * 2  # of half the sample rate
    taps = np.roll(np.fft.irfft(2 * share if direction == "up" else 1 - share, TAPS), TAPS // 2)
    return fftconvolve(samples, taps)[TAPS // 2 :][: len(samples)]


def resample(samples: np.ndarray, source: int, target: int, length: int) -> np.ndarray:
    """Return samples of another rate by soxr's "HQ", which delays nothing; cut, or followed by zeros, to a length.

    Args:
        samples: [samples]
        source: their rate in Hz
        target: the rate wanted
        length: of the result; soxr rounds one of its own
    """
    found = soxr.resample(samples, source, target, quality="HQ")[:length]
    return np.pad(found, (0, length - len(found)))


def through_rate(samples: np.ndarray, _: np.random.Generator, rate: int) -> np.ndarray:
    """Return samples as a recording of a lower rate in Hz gives them: resampled to it, and back."""
    there = resample(samples, SAMPLE_RATE, rate, -(-len(samples) * rate // SAMPLE_RATE))
    return resample(there, rate, SAMPLE_RATE, len(samples))
