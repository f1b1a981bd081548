"""The picture of a recording shows the sound as it is, and an answer where it belongs."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import pyplot as plt

from emopipe.figures import timeline
from emopipe.recognition.clips import envelope
from emopipe.recordings.reading import Recording

ENVELOPE = np.column_stack([-np.linspace(0, 1, 50), np.linspace(0, 1, 50)])
ROWS = [
    {"start": 0.0, "end": 2.0, "emotion": None, "confidence": None, "spread": None},
    {"start": 2.0, "end": 5.0, "emotion": "anger", "confidence": 0.9, "spread": 0.1},
    {"start": 5.0, "end": 10.0, "emotion": "fear", "confidence": 0.6, "spread": 0.1},
]
RATINGS = [
    {"start": 0.0, "end": 5.0, "valence": 1.5, "arousal": 4.0, "spread": 0.1},
    {"start": 5.0, "end": 10.0, "valence": None, "arousal": None, "spread": None},
]


@settings(max_examples=15, deadline=None)
@given(length=st.integers(400, 60_000), parts=st.integers(2, 60))
def test_an_envelope_holds_the_lowest_and_highest_samples(tmp_path_factory, length, parts):
    path = tmp_path_factory.mktemp("sound") / "a.wav"
    samples = np.random.default_rng(length).integers(-20_000, 20_000, length).astype(np.int16)
    soundfile.write(path, samples, 16_000)
    found, seconds = envelope(Recording(path), parts)
    assert seconds == length / 16_000 and len(found) <= 2 * parts
    step = 160
    while -(-length // step) > 2 * parts or (length // step >= 2 * parts):
        step *= 2
    chunks = [samples[at : at + step] / 32768 for at in range(0, length, step)]
    np.testing.assert_allclose(found, [(chunk.min(), chunk.max()) for chunk in chunks], atol=1e-6)


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Return a function that draws rows and returns the two panels."""
    kept = []
    monkeypatch.setattr(plt, "close", kept.append)

    def draw(rows):
        timeline.draw(rows, ENVELOPE, 10.0, tmp_path / "a.png", 50)
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
        return kept[-1].axes, kept[-1].legends

    return draw


def test_emotions_stand_where_they_are_as_high_as_they_are_certain(drawn):
    (wave, answers), (legend,) = drawn(ROWS)
    boxes = [collection.get_paths()[0].get_extents() for collection in answers.collections]
    assert [(box.x0, box.x1, box.y1) for box in boxes] == [(2, 5, 0.9), (5, 10, 0.6)]
    assert [text.get_text() for text in legend.get_texts()] == ["anger", "fear"]
    assert wave.get_xlim() == (0, 10) and len(wave.patches) == 2


def test_what_was_abstained_is_grey(drawn):
    abstained = ROWS[1] | {"start": 5.0, "end": 10.0, "emotion": None, "confidence": 0.3}
    (_, answers), (legend,) = drawn([*ROWS[:2], abstained])
    assert [text.get_text() for text in legend.get_texts()] == ["anger", "abstained"]
    grey, colour = answers.collections[1].get_facecolor()[0], answers.collections[0].get_facecolor()[0]
    assert len(set(grey[:3])) == 1 < len(set(colour[:3]))


def test_ratings_are_lines_and_what_has_no_answer_is_left_out(drawn):
    (_, answers), (legend,) = drawn(RATINGS)
    lines = [line.get_xydata().tolist() for line in answers.lines]
    assert [[0, 1.5], [5, 1.5]] in lines and [[0, 4], [5, 4]] in lines and len(lines) == 3  # and the middle
    assert [text.get_text() for text in legend.get_texts()] == ["valence", "arousal"]


def test_a_recording_without_an_answer_is_its_waveform(drawn):
    (wave, answers), legends = drawn(ROWS[:1])
    assert not legends and not answers.patches and wave.collections
