"""What a recogniser is given: a recording on disk, or samples; both become what the pipeline trains on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from emopipe.recordings.reading import Recording, RejectedError
from emopipe.recordings.resampling import converted_blocks, converted_stream
from emopipe.schemas.manifest import SAMPLE_RATE

Samples = tuple[np.ndarray, int]  # float of full scale ±1, or int16: [samples] or [samples, channels]; sample rate, Hz
Clip = str | Path | Recording | Samples


def blocks(clip: Clip) -> Iterator[np.ndarray]:
    """Yield a clip as the pipeline stores it: 16 kHz, mono, rounded to 16 bit; float32, [samples] each.

    Args:
        clip: a file of any rate and any number of channels, a segment of one, or samples with their rate

    Raises:
        RejectedError: where it turns out to be of no use; the subclasses say in which way
    """
    if isinstance(clip, tuple) and not isinstance(clip, Recording):
        samples, rate = clip
        return converted_stream([samples], rate)
    return converted_blocks(clip if isinstance(clip, Recording) else Recording(Path(clip)))


def envelope(recording: Recording, parts: int) -> tuple[np.ndarray, float]:
    """Return the lowest and the highest sample of equal parts of a recording, for a picture of it.

    Memory does not grow with the length. Of a recording that breaks off it is what comes before.

    Args:
        recording: of any length
        parts: at least so many, but for short recordings, and fewer than twice as many

    Returns:
        [parts, 2], with full scale ±1, and the length in seconds
    """
    found, rest = np.empty((0, 2), np.float32), np.empty(0, np.float32)
    step = SAMPLE_RATE // 100  # samples of a part; when there are twice too many, two and two are joined
    total = 0
    with suppress(RejectedError):
        for block in blocks(recording):
            total += len(block)
            rest = np.concatenate([rest, block])
            while len(rest) >= step:
                count = min(len(rest) // step, 2 * parts - len(found))
                some, rest = rest[: count * step].reshape(count, step), rest[count * step :]
                found = np.concatenate([found, np.column_stack([some.min(1), some.max(1)])])
                if len(found) == 2 * parts:
                    low, high = found.reshape(parts, 2, 2).transpose(2, 0, 1)
                    found, step = np.column_stack([low.min(1), high.max(1)]), 2 * step
    if len(rest):
        found = np.concatenate([found, [[rest.min(), rest.max()]]])
    return found, total / SAMPLE_RATE


def named(clip: Clip, number: int) -> str:
    """Return what a clip is called in a table: its path, or its number from 0 where it has none."""
    if isinstance(clip, tuple) and not isinstance(clip, Recording):
        return str(number)
    return str(clip.path if isinstance(clip, Recording) else clip)
