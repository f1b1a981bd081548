"""What tests of conditions share: speech, and how far it was shifted."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from emopipe.conditions.condition import SAMPLE_RATE
from emopipe.corpora import espeak

TEXTS = {
    "en-us+f3": "The letter that she was waiting for has come this morning.",
    "en-us+m3": "Nobody knows where the children left their bicycles.",
    "en-us+f1": "In seven hours it will be too late for any of us.",
    "en-us+m1": "What has been lying on the table is the old cloth.",
}


@pytest.fixture(scope="session")
def talkers():
    """Return one sentence of each of four voices, float32 [samples], of a peak of 0.3."""
    spoken = espeak.speak([espeak.Sentence(text, voice, 170, 50, 60, 0) for voice, text in TEXTS.items()])
    found = []
    for content in spoken:
        sound = soxr.resample(np.frombuffer(content, np.int16) / 32768, espeak.SAMPLE_RATE, SAMPLE_RATE)
        found.append((0.3 * sound / np.abs(sound).max()).astype(np.float32))
    return found


@pytest.fixture(scope="session")
def speech(talkers):
    """Return the sentence of the first of them."""
    return talkers[0]


@pytest.fixture(scope="session")
def lag():
    """Return a function from two waveforms to the number of samples by which they are shifted.

    It looks for the peak of their cross-correlation between 300 and 3400 Hz, where every frequency has the same weight
    (Knapp & Carter's phase transform): codecs of speech shift the phases below, and the first formant outweighs all.
    """

    def found(before: np.ndarray, after: np.ndarray) -> int:
        size = len(before) + len(after)
        spectrum = np.conj(np.fft.rfft(before, size)) * np.fft.rfft(after, size)
        frequencies = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
        weights = ((frequencies > 300) & (frequencies < 3400)) / (np.abs(spectrum) + 1e-9)
        place = int(np.abs(np.fft.irfft(spectrum * weights, size)).argmax())
        return min(place, size - place)

    return found
