"""Every second of a recording belongs to a segment, in whatever pieces it comes; speech is found, and nothing else."""

from __future__ import annotations

import math
import tracemalloc
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from emopipe.corpora import espeak
from emopipe.io.errors import UserError
from emopipe.recognition import segmentation
from emopipe.recognition.detection import WINDOW, detector, speech
from emopipe.recognition.segmentation import Cutting, pieces
from emopipe.recordings.reading import RejectedError
from emopipe.schemas.manifest import SAMPLE_RATE

LONGEST = 5 * SAMPLE_RATE
WORDS = (
    "The cat sat on the mat, and looked out of the window for a long time.",
    "Where on earth have you been all day?",
    "I will bring it on Wednesday.",
    "No, thank you, it was nothing at all, really, and nobody minded.",
)


def cut(signal, cutting, longest=LONGEST, sizes=(10_000,)):
    """Return the pieces of a signal that comes in blocks of these sizes, over and over."""

    def blocks():
        at, number = 0, 0
        while at < len(signal):
            size = sizes[number % len(sizes)]
            yield signal[at : at + size]
            at, number = at + size, number + 1

    return list(pieces(blocks(), cutting, longest))


def seconds(value: float) -> int:
    """Return so many seconds in samples."""
    return round(value * SAMPLE_RATE)


@pytest.fixture(scope="module")
def sentences():
    """Return spoken sentences, without the silence around them, [samples] each."""
    spoken = espeak.speak([espeak.Sentence(text, "en-us+f3", 170, 50, 60, 0) for text in WORDS])
    found = []
    for content in spoken:
        sound = soxr.resample(np.frombuffer(content, np.int16) / 32768, espeak.SAMPLE_RATE, SAMPLE_RATE)
        loud = np.flatnonzero(abs(sound) > 0.005 * abs(sound).max())
        found.append((sound[loud[0] : loud[-1]] * 0.5).astype(np.float32))
    return found


@pytest.fixture(scope="module")
def conversation(sentences):
    """Return a recording of sentences with silence or noise between, and where each sentence lies, in samples."""
    generator = np.random.default_rng(0)
    parts, places, at = [], [], 0
    for number in range(12):
        gap = generator.standard_normal(seconds(generator.uniform(0.8, 2))).astype(np.float32) * 0.002
        sentence = sentences[number % len(sentences)]
        parts += [gap * (number % 2), sentence]
        places.append((at + len(gap), at + len(gap) + len(sentence)))
        at = places[-1][1]
    return np.concatenate([*parts, np.zeros(seconds(1), np.float32)]), places


# ---- what is found


def test_sentences_are_found_and_nothing_between_them(conversation):
    signal, places = conversation
    found = [piece for piece in cut(signal, Cutting("speech")) if piece.status == "ok"]
    assert len(found) == len(places)
    for piece, (start, end) in zip(found, places, strict=True):
        assert piece.start == pytest.approx(start / SAMPLE_RATE, abs=0.3)
        assert piece.end == pytest.approx(end / SAMPLE_RATE, abs=0.4)  # the network takes its time to be sure
        np.testing.assert_array_equal(piece.samples, signal[seconds(piece.start) : seconds(piece.end)])


def tone(t):
    return 0.3 * np.sin(2 * np.pi * 440 * t)


def chord(t):
    """Return a chord that is struck twice a second and dies away."""
    notes = (np.sin(2 * np.pi * 220 * r * h * t) / h for r in (1, 1.25, 1.5) for h in range(1, 6))
    return 0.1 * sum(notes) * np.exp(-4 * (t % 0.5))


def white(t):
    return np.random.default_rng(0).standard_normal(len(t)) * 0.1


def gated(t):
    return white(t) * (np.sin(2 * np.pi * 3 * t) > 0)


def hum(t):
    return 0.3 * ((150 * t) % 1 - 0.5)


def sweep(t):
    return 0.3 * np.sin(2 * np.pi * (100 * t + 200 * t**2))


@pytest.mark.parametrize("mode", ["auto", "speech", "windows"])
@pytest.mark.parametrize("length", [2, 12])
@pytest.mark.parametrize("sound", [tone, chord, white, gated, hum, sweep, np.zeros_like], ids=lambda f: f.__name__)
def test_what_is_not_speech_gets_no_answer(sound, length, mode):
    signal = sound(np.arange(seconds(length)) / SAMPLE_RATE).astype(np.float32)
    found = cut(signal, Cutting(mode))
    assert {piece.status for piece in found} <= {"no_speech", "too_short"} and found[0].status == "no_speech"
    assert all(piece.samples is None and piece.reason for piece in found)


def test_a_short_recording_is_one_segment_if_there_is_speech_in_it(sentences):
    for sentence in sentences:
        signal = np.concatenate([np.zeros(seconds(0.4), np.float32), sentence])[:LONGEST]
        (piece,) = cut(signal, Cutting("auto"))
        assert (piece.start, piece.end, piece.status) == (0, len(signal) / SAMPLE_RATE, "ok")
        np.testing.assert_array_equal(piece.samples, signal)


def test_the_detector_does_not_remember_the_recording_before(sentences):
    def probabilities():
        with detector() as hear:
            return [hear(sentences[0][at : at + WINDOW]) for at in range(0, 20 * WINDOW, WINDOW)]

    first = probabilities()
    assert speech(sentences[1], 0.5, math.inf) > 0.5
    assert probabilities() == first


# ---- how it is cut


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30_000), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) > 400 * len(sizes)),
    cutting=st.sampled_from(
        [Cutting("auto"), Cutting("speech", min_silence=0.1), Cutting("windows"), Cutting("windows", window=2, hop=0.7)]
    ),
    end=st.integers(1, seconds(14)),
)
def test_it_makes_no_difference_in_what_pieces_a_signal_comes(conversation, sizes, cutting, end):
    signal = conversation[0][:end]
    whole, parts = cut(signal, cutting, sizes=(len(signal),)), cut(signal, cutting, sizes=sizes)
    assert [piece._replace(samples=None) for piece in whole] == [piece._replace(samples=None) for piece in parts]
    for one, other in zip(whole, parts, strict=True):
        assert (one.samples is None) == (other.samples is None) == (one.status != "ok")
        if one.samples is not None:
            np.testing.assert_array_equal(one.samples, other.samples)
            np.testing.assert_array_equal(one.samples, signal[seconds(one.start) : seconds(one.end)])


@contextmanager
def scripted(monkeypatch, probabilities):
    """Let the detector give these probabilities, and then nothing but silence."""
    script = iter(probabilities)

    @contextmanager
    def lend():
        yield lambda _: next(script, 0.0)

    with monkeypatch.context() as patch:
        patch.setattr(segmentation, "detector", lend)
        yield


PROBABILITIES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.34, 0.36, 0.49, 0.5, 0.51, 0.9, 1.0]), st.integers(1, 30)), max_size=25
).map(lambda runs: [value for value, count in runs for _ in range(count)])


def expected_speech(probabilities, total, cutting):
    """Return where speech begins and ends, in samples, by the rule read from left to right over all probabilities."""
    state, begin, quiet, found = "silence", 0, None, []
    for number, value in enumerate(probabilities):
        if state == "silence" and value >= cutting.threshold:
            state, begin, quiet = "speech", number, None
        elif state == "speech":
            if value >= cutting.threshold:
                quiet = None
            elif value < cutting.threshold - 0.15 and quiet is None:
                quiet = number
            if quiet is not None and (number + 1 - quiet) * WINDOW >= seconds(cutting.min_silence):
                found.append((begin * WINDOW, quiet * WINDOW))
                state = "silence"
    if state == "speech":
        found.append((begin * WINDOW, min(total, (len(probabilities) if quiet is None else quiet) * WINDOW)))
    return found


@settings(max_examples=150, deadline=None)
@given(probabilities=PROBABILITIES, missing=st.integers(0, WINDOW - 1), padding=st.sampled_from([0.0, 0.05, 0.1]))
def test_speech_begins_and_ends_as_the_rule_has_it_and_the_segments_are_the_whole(probabilities, missing, padding):
    total = max(1, len(probabilities) * WINDOW - missing)
    probabilities = probabilities or [0.0]
    cutting = Cutting("speech", min_silence=0.2, padding=padding)
    with scripted(pytest.MonkeyPatch(), probabilities):
        found = cut(np.arange(total, dtype=np.float32), cutting, longest=10**9)
    expected = expected_speech(probabilities, total, cutting)
    heard = [piece for piece in found if piece.status != "no_speech"]
    assert len(heard) == len(expected)
    for piece, (start, end) in zip(heard, expected, strict=True):
        assert piece.status == ("ok" if (end - start) / SAMPLE_RATE >= cutting.min_speech else "too_short")
        assert 0 <= start - seconds(piece.start) <= seconds(padding)
        assert 0 <= seconds(piece.end) - end <= seconds(padding)
    assert_whole(found, total)


@settings(max_examples=100, deadline=None)
@given(probabilities=PROBABILITIES, longest=st.sampled_from([0.5, 1.0, 3.0]))
def test_no_segment_is_longer_than_the_model_hears_and_nothing_is_lost(probabilities, longest):
    probabilities = [*probabilities, *[0.8] * 40]
    total = len(probabilities) * WINDOW
    with scripted(pytest.MonkeyPatch(), probabilities):
        found = cut(np.arange(total, dtype=np.float32), Cutting("speech"), longest=seconds(longest))
    assert max(piece.end - piece.start for piece in found if piece.status == "ok") <= longest
    assert_whole(found, total)


def assert_whole(found, total):
    """Assert that segments lie one behind the other, from the beginning to the end, and none is empty."""
    assert found[0].start == 0 and found[-1].end == total / SAMPLE_RATE
    assert all(one.end == other.start for one, other in pairwise(found))
    assert all(piece.end > piece.start for piece in found)
    for piece in found:
        if piece.samples is not None:
            assert len(piece.samples) == seconds(piece.end - piece.start) and piece.samples[0] == seconds(piece.start)


def test_speech_that_is_too_long_is_cut_at_its_longest_silence(monkeypatch):
    speaking, pause, breath = [0.9] * 60, [0.1] * 10, [0.2] * 4
    script = [*speaking, *pause, *speaking, *breath, *speaking[:20], *pause[:3], *speaking]
    with scripted(monkeypatch, script):
        found = cut(np.zeros(len(script) * WINDOW, np.float32), Cutting("speech"), longest=seconds(5))
    # 156 windows fill 5 s: of their latter half, from window 78, the longest silence is the one at 130 to 133
    assert found[0].end * SAMPLE_RATE / WINDOW == 132


@pytest.mark.parametrize(("window", "hop"), [(2.0, 2.0), (2.0, 0.5), (1.0, 0.3)])
def test_windows_lie_at_equal_distances_and_reach_the_end(sentences, window, hop):
    signal = np.concatenate([*sentences, np.zeros(seconds(3.3), np.float32)])
    found = cut(signal, Cutting("windows", window=window, hop=hop))
    total = len(signal) / SAMPLE_RATE
    assert [piece.start for piece in found] == pytest.approx([hop * number for number in range(len(found))], abs=1e-4)
    assert all(piece.end - piece.start == pytest.approx(window, abs=1e-4) for piece in found[:-1])
    assert found[-1].end == total and found[-2].end < total
    assert found[0].status == "ok" and found[-2].status == "no_speech"


# ---- damage, memory, settings


def test_what_comes_before_damage_is_answered(conversation):
    signal, places = conversation

    def blocks():
        yield signal[: places[7][1] + seconds(1)]
        raise RejectedError("damaged")

    *found, last = pieces(blocks(), Cutting("auto"), LONGEST)
    assert sum(piece.status == "ok" for piece in found) == 8
    assert (last.status, last.reason) == ("unreadable", "damaged")
    assert last.start == found[-1].end and math.isnan(last.end)


@pytest.mark.parametrize("mode", ["none", "auto", "speech", "windows"])
def test_memory_stays_flat(sentences, mode):
    def peak(repetitions):
        blocks = (block for _ in range(repetitions) for block in (sentences[0], np.zeros(seconds(1), np.float32)))
        tracemalloc.start()
        for _ in pieces(blocks, Cutting(mode), LONGEST):
            pass
        reached = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return reached

    short = peak(4)
    assert peak(30) < 1.5 * short + 100_000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": 1.0}, "--threshold: 1 is not between 0 and 1"),
        ({"min_speech": 0.01}, "--min-speech: 0.01 s; no model hears less than 0.025 s"),
        ({"padding": 0.3}, "--padding: 0.3 s; twice that must fit into --min-silence 0.5"),
        ({"padding": -0.1}, "--padding: -0.1 s"),
        ({"min_silence": math.nan}, "--min-silence: nan s"),
        ({"window": 1.0}, "--window and --hop need --segments windows"),
        ({"mode": "windows", "window": 0.1}, "--window: 0.1 s, shorter than --min-speech 0.25"),
        ({"mode": "windows", "window": 6.0}, "--window: 6 s, but the model hears 5 s at once"),
        ({"mode": "windows", "hop": 0.0}, "--hop: 0 s; it must be 0.01 or more"),
        ({"mode": "windows", "hop": 1e-5}, "--hop: 1e-05 s; it must be 0.01 or more"),
        ({"min_silence": float("inf")}, "--min-silence: inf s; no silence is so long"),
        ({"mode": "windows", "window": 1.0, "hop": 1.5}, "--hop: 1.5 s, longer than a window of 1 s"),
        ({"min_speech": 5.5}, "--min-speech: 5.5 s, but the model hears 5 s at once"),
    ],
)
def test_settings_that_cannot_be_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        Cutting(**changes).cutter(LONGEST)
