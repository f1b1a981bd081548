"""A journal keeps every answer that was given, whatever became of the run."""

from __future__ import annotations

import math

import pytest

from emopipe.recognition.journal import Answer, Journal, recording_key
from emopipe.recordings.reading import Recording

ITEMS = ["a", "b", "a", "c", "d"]


def answer(items):
    """Answer each item by two rows."""
    for number, item in enumerate(items):
        yield Answer(number, {"item": item, "value": math.pi})
        yield Answer(number, {"item": item.upper(), "value": math.nan})


def filled(path, settings=None, restart=False, answers=answer):
    journal = Journal(path, settings or {"model": "x"}, restart)
    done = list(journal.fill(ITEMS, str, answers))
    return journal, done


def test_answers_are_those_of_the_items_and_each_is_asked_once(tmp_path):
    asked = []
    journal, done = filled(tmp_path / "j", answers=lambda items: answer(asked.append(item) or item for item in items))
    assert asked == ["a", "b", "c", "d"] and done == sorted(done) and done[-1] == 5
    assert [rows[0]["item"] for rows in journal] == ITEMS and journal[0][0]["value"] == math.pi
    assert math.isnan(journal[4][1]["value"])
    journal.remove()
    assert not (tmp_path / "j").exists()


@pytest.mark.parametrize("cut", range(1, 120, 7))
def test_whatever_is_left_of_it_is_gone_on_with(tmp_path, cut):
    whole, _ = filled(tmp_path / "j")
    content = (tmp_path / "j").read_bytes()
    (tmp_path / "j").write_bytes(content[: len(content) - cut])
    asked = []
    journal, _ = filled(tmp_path / "j", answers=lambda items: answer(asked.append(item) or item for item in items))
    assert journal.found + len(asked) == 4 and asked
    assert str(list(journal)) == str(list(whole)) and (tmp_path / "j").read_bytes() == content


def test_another_model_or_setting_begins_anew_and_so_does_who_asks_for_it(tmp_path):
    filled(tmp_path / "j")
    assert Journal(tmp_path / "j", {"model": "x"}).found == 4
    assert Journal(tmp_path / "j", {"model": "y"}).found == 0
    filled(tmp_path / "j")
    assert Journal(tmp_path / "j", {"model": "x"}, restart=True).found == 0


def test_a_recording_is_known_by_its_content_and_its_part(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    keys = [recording_key(Recording(tmp_path / name)) for name in "abcd"]
    assert keys[0] == keys[1] and len(set(keys)) == 3
    parts = [Recording(tmp_path / "a", 1.0), Recording(tmp_path / "a", 1.0, 2.0), Recording(tmp_path / "a", channel=1)]
    assert len({keys[0], *map(recording_key, parts)}) == 4
