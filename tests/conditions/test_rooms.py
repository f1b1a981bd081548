"""Rooms reverberate as long as they are said to."""

from __future__ import annotations

import numpy as np
import pytest
from pyroomacoustics.experimental import measure_rt60

from emopipe.conditions import rooms
from emopipe.conditions.catalogue import apply

BANDS = {"0.1-0.5s": (0.1, 0.5), "0.5-1s": (0.5, 1.0), "1-1.5s": (1.0, 1.5)}
SOME = [("0.1-0.5s", i) for i in range(rooms.ROOMS)] + [
    (level, i) for level in ("0.5-1s", "1-1.5s") for i in (0, 7, 14)
]
ALL = [(level, i) for level in BANDS for i in range(rooms.ROOMS)]


def check(level: str, number: int) -> None:
    """Compare the RT60 of a room with what is measured at the reverberation of a click."""
    low, high = BANDS[level]
    rt60 = rooms.room(low, high, number).rt60
    assert low <= rt60 <= high
    click = np.zeros(48_000)
    click[100] = 1
    found = rooms.reverberate(click, np.random.default_rng(), low, high, number)
    assert np.abs(found[:100]).max() < 1e-9
    assert found[100] == pytest.approx(np.abs(found).max())  # the direct sound comes at once
    tail = found[100:]
    assert measure_rt60(tail, 16_000, decay_db=30) == pytest.approx(rt60, rel=0.05)
    assert measure_rt60(tail, 16_000, decay_db=20) == pytest.approx(rt60, rel=0.1)


@pytest.mark.parametrize(("level", "number"), SOME)
def test_the_reverberation_time_is_the_one_that_was_drawn(level, number):
    check(level, number)


@pytest.mark.slow
@pytest.mark.parametrize(("level", "number"), ALL)
def test_the_reverberation_time_is_the_one_that_was_drawn_in_every_room(level, number):
    check(level, number)


def test_utterances_are_heard_in_many_rooms():
    click = np.zeros(16_000, np.float32)
    click[0] = 0.5
    found = [apply("room", "0.1-0.5s", click, f"u{i}", 1) for i in range(100)]
    assert 15 <= len({one.tobytes() for one in found}) <= rooms.ROOMS
    times = [rooms.room(0.1, 0.5, number).rt60 for number in range(rooms.ROOMS)]
    assert min(times) < 0.2
    assert max(times) > 0.4


def test_a_room_does_not_depend_on_threads_or_on_what_was_drawn_before(monkeypatch):
    import pyroomacoustics

    first = rooms.room(0.1, 0.5, 3)
    pyroomacoustics.constants.set("num_threads", 4)
    np.random.random(7)
    again = rooms.room.__wrapped__(0.1, 0.5, 3)
    assert again.rt60 == first.rt60
    assert again.response.tobytes() == first.response.tobytes()
    assert rooms.room(0.1, 0.5, 4).response.tobytes() != first.response.tobytes()
