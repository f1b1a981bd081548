"""What a recogniser can be asked: a recording on disk, or samples; both become what the pipeline trains on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from emopipe.recordings.reading import Recording
from emopipe.recordings.resampling import converted, read_converted

Samples = tuple[np.ndarray, int]  # float of full scale ±1, or int16: [samples] or [samples, channels]; sample rate, Hz
Clip = str | Path | Recording | Samples


def waveform(clip: Clip) -> np.ndarray:
    """Return a clip as the pipeline stores it: 16 kHz, mono, rounded to 16 bit, float32, [samples].

    Args:
        clip: a file of any rate and any number of channels, a segment of one, or samples with their rate

    Raises:
        RejectedError: if it cannot be used; the subclasses say in which way
    """
    if isinstance(clip, tuple) and not isinstance(clip, Recording):
        samples, rate = clip
        return converted(samples, rate)
    return read_converted(clip if isinstance(clip, Recording) else Recording(Path(clip)))


def named(clip: Clip, number: int) -> str:
    """Return what a clip is called in a table: its path, or its number from 0 where it has none."""
    if isinstance(clip, tuple) and not isinstance(clip, Recording):
        return str(number)
    return str(clip.path if isinstance(clip, Recording) else clip)
