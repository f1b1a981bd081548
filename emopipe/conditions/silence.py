"""Conditions of the ends of a recording: digital silence added, or a little cut off."""

from __future__ import annotations

import numpy as np

KEPT = 400  # samples, 25 ms, that a cut leaves at least: encoders' convolutions take no less


def pad(samples: np.ndarray, _: np.random.Generator, before: int = 0, after: int = 0) -> np.ndarray:
    """Return samples with so many zeros before and after them."""
    return np.pad(samples, (before, after))


def crop(samples: np.ndarray, _: np.random.Generator, beginning: int = 0, end: int = 0) -> np.ndarray:
    """Return samples without so many at the beginning, or at the end; :data:`KEPT` are kept of short recordings."""
    room = max(0, len(samples) - KEPT)
    return samples[min(beginning, room) : len(samples) - min(end, room)]
