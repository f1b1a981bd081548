"""Documents of annotations, read back by libraries that did not write them."""

from __future__ import annotations

import csv
import html
import math
import os
import sys
import unicodedata
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pympi
import pytest
import textgrid
import webvtt
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from emopipe.io.errors import UserError
from emopipe.recognition import annotations
from emopipe.recognition.annotations import SUFFIXES

several = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXTS = st.sampled_from(
    ['say "no"', "a\tb\nc", "-->", "<b>&amp;", "Ärger\\ö 怒り", "\\o:", " ", "\u2028x\x85", "NOTE"]
) | st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
GAPS = st.floats(1e-7, 1e-3) | st.floats(0.001, 40.0)


@st.composite
def tilings(draw) -> tuple[list[dict], float]:
    """Return the rows of a recording, each beginning where the one before ends, and its length in seconds."""
    rows: list[dict] = []
    at = 0.0
    for gap in draw(st.lists(GAPS, min_size=1, max_size=8)):
        answered = draw(st.booleans())
        rows.append({
            "file": "a.wav", "start": at, "end": at + gap, "emotion": draw(TEXTS) if answered else None,
            "confidence": 0.5 if answered else None, "p_anger": 0.5, "status": "ok" if answered else "no_speech",
            "reason": "" if answered else draw(TEXTS),
        })  # fmt: skip
        at += gap
    return rows, max(at, 0.02)


def line(text: str | None) -> str:
    """Return the one line that a text becomes, by the categories of Unicode."""
    if text is None:
        return ""
    odd = ("Cc", "Zl", "Zp")
    return "".join(" " if unicodedata.category(c) in odd or c in "\ufffe\uffff" else c for c in text).strip()


def written(rows: list[dict], seconds: float, kind: str, folder: Path, recording: str = "a.wav") -> Path:
    target = folder / f"answers{SUFFIXES[kind]}"
    annotations.write(rows, folder / recording, seconds, kind, target)
    return target


def praat(path: Path) -> dict[str, textgrid.IntervalTier | textgrid.PointTier]:
    grid = textgrid.TextGrid()
    grid.read(str(path), round_digits=20)
    return {tier.name: tier for tier in grid.tiers}


def intervals(tier: textgrid.IntervalTier) -> list[tuple[float, float, str]]:
    return [(one.minTime, one.maxTime, one.mark) for one in tier]


def elan(path: Path) -> dict[str, list[tuple[int, int, str]]]:
    document = pympi.Eaf(str(path))
    return {
        name: [mark[:3] for mark in document.get_annotation_data_for_tier(name)] for name in document.get_tier_names()
    }


def labels(path: Path) -> list[tuple[float, float, str]]:
    table = pd.read_csv(path, sep="\t", header=None, quoting=csv.QUOTE_NONE, keep_default_na=False, dtype={2: str})
    return list(table.itertuples(index=False, name=None))


def window(start: float, end: float, **cells: object) -> dict:
    return {"file": "a.wav", "start": start, "end": end, "emotion": "joy", "status": "ok", "reason": ""} | cells


# ---- any tiling of a recording


@several
@given(tiling=tilings())
def test_every_tier_of_praat_tiles_the_recording(tiling, tmp_path):
    rows, seconds = tiling
    tiers = praat(written(rows, seconds, "textgrid", tmp_path))
    assert list(tiers) == ["emotion", "confidence", "status", "reason"]
    for tier in tiers.values():
        found = intervals(tier)
        assert (tier.minTime, tier.maxTime) == (0, seconds) == (found[0][0], found[-1][1])
        assert all(start < end for start, end, _ in found)
        assert all(one[1] == next_[0] for one, next_ in pairwise(found))
    statuses = intervals(tiers["status"])
    assert [mark for _, _, mark in statuses if mark] == [row["status"] for row in rows]
    kept = [one for one in statuses if one[2]]
    assert all(
        abs(found - row["start"]) < 1e-4 * (len(rows) + 1) for (found, _, _), row in zip(kept, rows, strict=True)
    )
    for name in ("emotion", "reason"):
        assert [mark for _, _, mark in intervals(tiers[name]) if mark] == [t for row in rows if (t := line(row[name]))]


@several
@given(tiling=tilings())
def test_no_annotation_of_elan_is_lost_or_overlaps_another(tiling, tmp_path):
    rows, seconds = tiling
    path = written(rows, seconds, "eaf", tmp_path)
    tiers = elan(path)
    assert list(tiers) == ["emotion", "confidence", "status", "reason"]
    for marks in tiers.values():
        assert all(start < end for start, end, _ in marks)
        assert all(one[1] <= next_[0] for one, next_ in pairwise(marks))
    assert all(one[1] == next_[0] for one, next_ in pairwise(tiers["status"])) and tiers["status"][0][0] == 0
    assert tiers["status"][-1][1] <= max(round(seconds * 1000), 1)
    assert [mark for *_, mark in tiers["status"]] == [row["status"] for row in rows]
    for name in ("emotion", "reason"):
        assert [mark for *_, mark in tiers[name]] == [text for row in rows if (text := line(row[name]))]
    slots = list(pympi.Eaf(str(path)).timeslots.values())
    assert slots == sorted(slots)


@several
@given(tiling=tilings())
def test_audacity_has_a_label_a_segment(tiling, tmp_path):
    rows, seconds = tiling
    found = labels(written(rows, seconds, "audacity", tmp_path))
    assert all(start < end for start, end, _ in found) and found[0][0] == 0
    assert all(one[1] == next_[0] for one, next_ in pairwise(found))
    assert [text for *_, text in found] == [
        line(row["emotion"]) or f"[{row['status']}] {line(row['reason'])}".strip() for row in rows
    ]
    assert [start for start, *_ in found] == pytest.approx([row["start"] for row in rows], abs=1e-5)


@several
@given(tiling=tilings())
def test_webvtt_has_a_caption_an_answer(tiling, tmp_path):
    rows, seconds = tiling
    found = list(webvtt.read(written(rows, seconds, "webvtt", tmp_path)))
    answered = [row for row in rows if line(row["emotion"])]
    assert [html.unescape(caption.raw_text) for caption in found] == [line(row["emotion"]) for row in answered]
    assert all(caption.start_time < caption.end_time for caption in found)
    assert all(one.end_time <= next_.start_time for one, next_ in pairwise(found))
    starts = [caption.start_in_seconds + caption.start_time.milliseconds / 1000 for caption in found]
    assert starts == pytest.approx([row["start"] for row in answered], abs=1e-3 * (len(rows) + 1))


@pytest.mark.parametrize("kind", SUFFIXES)
def test_the_same_rows_give_the_same_bytes(kind, tmp_path):
    rows = [window(0, 0.7), window(0.3, 1), window(1, None, emotion=None, status="too_short", reason="0.1 s")]
    path = written(rows, 1.1, kind, tmp_path)
    before = path.read_bytes()
    assert written(rows, 1.1, kind, tmp_path).read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    if kind == "eaf":
        assert pympi.Eaf(str(path)).adocument["DATE"] == "1970-01-01T00:00:00+00:00"


# ---- dimensions, windows, and what is not known


VAD = [
    {"start": 0.0, "end": 1.0, "valence": 3.24, "arousal": 2.0, "dominance": 5.06, "spread": 0.1234, "status": "ok",
     "reason": ""},
    {"start": 1.0, "end": 2.0, "valence": None, "arousal": None, "dominance": None, "spread": None,
     "status": "no_speech", "reason": "silence"},
]  # fmt: skip


def test_dimensions_have_tiers_of_their_own(tmp_path):
    names = ["valence", "arousal", "dominance", "spread", "status", "reason"]
    tiers = praat(written(VAD, 2.0, "textgrid", tmp_path))
    assert list(tiers) == names
    assert intervals(tiers["valence"]) == [(0, 1, "3.240"), (1, 2, "")]
    assert intervals(tiers["reason"]) == [(0, 1, ""), (1, 2, "silence")]
    tiers = elan(written(VAD, 2.0, "eaf", tmp_path))
    assert list(tiers) == names and tiers["spread"] == [(0, 1000, "0.123")]
    assert labels(written(VAD, 2.0, "audacity", tmp_path)) == [
        (0, 1, "valence 3.2, arousal 2.0, dominance 5.1"),
        (1, 2, "[no_speech] silence"),
    ]
    (caption,) = webvtt.read(written(VAD, 2.0, "webvtt", tmp_path))
    assert (caption.text, caption.end) == ("valence 3.2, arousal 2.0, dominance 5.1", "00:00:01.000")


def test_an_abstention_keeps_its_confidence_and_has_no_emotion(tmp_path):
    rows = [window(0, 1, emotion=None, confidence=0.41, set="anger|joy", status="abstained", reason="0.41 < 0.52")]
    tiers = praat(written(rows, 1.0, "textgrid", tmp_path))
    assert {name: [mark for *_, mark in intervals(tier)] for name, tier in tiers.items()} == {
        "emotion": [""],
        "set": ["anger|joy"],
        "confidence": ["0.410"],
        "status": ["abstained"],
        "reason": ["0.41 < 0.52"],
    }
    assert labels(written(rows, 1.0, "audacity", tmp_path)) == [(0, 1, "[abstained] 0.41 < 0.52")]
    assert not list(webvtt.read(written(rows, 1.0, "webvtt", tmp_path)))


@settings(several, max_examples=40)
@given(
    starts=st.lists(st.integers(0, 3000), min_size=2, max_size=9), length=st.integers(2, 4000), shift=st.floats(0, 1e-4)
)
@example(starts=[0, 0, 0], length=2, shift=0.0)
def test_windows_overlap_as_far_as_a_format_can_hold_it(starts, length, shift, tmp_path):
    rows = [
        window(at / 1000 + shift, (at + length) / 1000 + shift, emotion=f"n{number}")
        for number, at in enumerate(starts)
    ]
    seconds = (max(starts) + length) / 1000 + shift
    tiers = elan(written(rows, seconds, "eaf", tmp_path))
    assert list(tiers)[:3] == ["emotion", "status", "reason"]
    for marks in tiers.values():
        assert all(one[1] <= next_[0] for one, next_ in pairwise(marks))
    found = {text: (start, end) for name, marks in tiers.items() if "emotion" in name for start, end, text in marks}
    for row in rows:
        start, end = found.pop(row["emotion"])
        assert abs(start - row["start"] * 1000) <= 2 and abs(end - row["end"] * 1000) <= 2 and start < end
    assert not found

    tier = praat(written(rows, seconds, "textgrid", tmp_path))["emotion"]
    overlap = any(
        next_["start"] < one["end"] - 0.0011 for one, next_ in pairwise(sorted(rows, key=lambda r: r["start"]))
    )
    if overlap:
        assert isinstance(tier, textgrid.PointTier)
        times = [point.time for point in tier]
        assert all(one < next_ for one, next_ in pairwise(times)) and times[0] >= 0 and times[-1] <= seconds
        middles = {row["emotion"]: (row["start"] + row["end"]) / 2 for row in rows}
        assert {point.mark: point.time for point in tier} == pytest.approx(middles, abs=6e-4 + 1e-4 * len(rows))

    for kind, each in (("audacity", 1.1e-3), ("webvtt", 2.1e-3)):
        path = written(rows, seconds, kind, tmp_path)
        if kind == "audacity":
            spans = labels(path)
        else:
            spans = [(_seconds(one.start), _seconds(one.end), one.text) for one in webvtt.read(path)]
        assert [span[:2] for span in spans] == sorted(span[:2] for span in spans)
        for start, end, text in spans:
            row = rows[int(text[1:])]
            assert (start, end) == pytest.approx((row["start"], row["end"]), abs=each)
        assert len(spans) == len(rows)


def _seconds(clock: str) -> float:
    hours, minutes, seconds = clock.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def test_windows_take_turns_in_elan(tmp_path):
    rows = [window(start / 2, start / 2 + 1, emotion=str(start)) for start in range(5)]
    tiers = elan(written(rows, 3.0, "eaf", tmp_path))
    assert list(tiers) == ["emotion", "status", "reason", "emotion 2", "status 2", "reason 2"]
    assert tiers["emotion"] == [(0, 1000, "0"), (1000, 2000, "2"), (2000, 3000, "4")]
    assert tiers["emotion 2"] == [(500, 1500, "1"), (1500, 2500, "3")]


def test_neighbours_that_rounding_let_overlap_stay_neighbours(tmp_path):
    rows = [window(0, 1.0004), window(0.9997, 2)]
    assert intervals(praat(written(rows, 2.0, "textgrid", tmp_path))["emotion"]) == [
        (0, 1.0004, "joy"),
        (1.0004, 2, "joy"),
    ]
    assert elan(written(rows, 2.0, "eaf", tmp_path))["emotion"] == [(0, 1000, "joy"), (1000, 2000, "joy")]


def test_gaps_between_segments_are_empty(tmp_path):
    rows = [window(2, 3, emotion="anger"), window(0.5, 1)]  # a user's table, in its own order
    tier = praat(written(rows, 4.0, "textgrid", tmp_path))["emotion"]
    assert intervals(tier) == [(0, 0.5, ""), (0.5, 1, "joy"), (1, 2, ""), (2, 3, "anger"), (3, 4, "")]
    assert elan(written(rows, 4.0, "eaf", tmp_path))["emotion"] == [(500, 1000, "joy"), (2000, 3000, "anger")]


def test_times_beyond_the_recording_and_unknown_ones_are_its_own(tmp_path):
    rows = [window(None, 1.5), window(1.5, 99)]
    assert labels(written(rows, 2.25, "audacity", tmp_path)) == [(0, 1.5, "joy"), (1.5, 2.25, "joy")]
    assert labels(written([window(-1, math.nan)], 2.25, "audacity", tmp_path)) == [(0, 2.25, "joy")]


@pytest.mark.parametrize("kind", ["textgrid", "eaf"])
def test_a_recording_of_unknown_length_ends_where_its_segments_do(kind, tmp_path):
    rows = [window(0, 1.5), window(1.5, math.nan, emotion=None, status="unreadable", reason="damaged at 1.5 s")]
    read = {"textgrid": lambda path: intervals(praat(path)["reason"]), "eaf": lambda path: elan(path)["reason"]}[kind]
    start, end, text = read(written(rows, math.nan, kind, tmp_path))[-1]
    second = 1 if kind == "textgrid" else 1000
    assert text == "damaged at 1.5 s" and start < end == 1.5 * second
    start, end, text = read(written([rows[1] | {"start": 0.0}], math.nan, kind, tmp_path))[-1]
    assert start == 0 < end <= 0.001 * second and text == "damaged at 1.5 s"


@pytest.mark.parametrize("kind", SUFFIXES)
def test_more_segments_than_the_recording_can_hold_are_refused(kind, tmp_path):
    (tmp_path / f"answers{SUFFIXES[kind]}").write_text("mine")
    steps = {"textgrid": 10_000, "eaf": 1000, "audacity": 1_000_000, "webvtt": 1000}[kind]
    seconds = 4 / steps
    rows = [window(number * seconds / 5, (number + 1) * seconds / 5) for number in range(5)]
    with pytest.raises(UserError, match=r"a\.wav: too short for 5 segments"):
        written(rows, seconds, kind, tmp_path)
    assert (tmp_path / f"answers{SUFFIXES[kind]}").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


# ---- names


NAMES = ["a b.wav", "ä&<'\">.wav", "x--%20#?.flac", "双.mp4", " .wav", "deep/er/a.WAV", "tab\t.wav"]


@pytest.mark.parametrize("name", NAMES)
def test_elan_finds_the_recording_from_the_folder_of_the_document(name, tmp_path):
    (tmp_path / "sound" / name).parent.mkdir(parents=True)
    (tmp_path / "sound" / name).write_bytes(b"")
    for place in ("sound", "answers/deep"):
        target = tmp_path / place / "a.eaf"
        annotations.write([window(0, 1)], tmp_path / "sound" / name, 1.0, "eaf", target)
        (media,) = pympi.Eaf(str(target)).media_descriptors
        shown = name.replace("\t", " ")
        assert media["MEDIA_URL"] == f"file://{tmp_path}/sound/{shown}"
        assert media["RELATIVE_MEDIA_URL"].startswith(("./", "../"))
        if shown == name:
            assert (target.parent / media["RELATIVE_MEDIA_URL"]).samefile(tmp_path / "sound" / name)
        expected = {".wav": "audio/x-wav", ".mp4": "video/mp4", ".flac": "audio/*"}
        assert media["MIME_TYPE"] == expected[Path(name).suffix.lower() or ".wav"]


@pytest.mark.parametrize("kind", SUFFIXES)
def test_a_name_that_is_not_utf_8_can_be_written(kind, tmp_path):
    odd = os.fsdecode(b"caf\xe9.wav")
    rows = [window(0, 1), window(1, 2, emotion=None, status="unreadable", reason=f"{odd}: damaged")]
    text = written(rows, 2.0, kind, tmp_path, odd).read_text(encoding="utf-8")
    assert ("caf\\udce9.wav: damaged" in text) == (kind != "webvtt") and "joy" in text


def test_praatio_is_named_where_it_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "praatio.textgrid", None)
    with pytest.raises(UserError, match=r"no package praatio; `pip install 'emopipe\[praat\]'`"):
        written([window(0, 1)], 1.0, "textgrid", tmp_path)
    assert not list(tmp_path.iterdir())
    annotations.check("eaf")
    written([window(0, 1)], 1.0, "eaf", tmp_path)
