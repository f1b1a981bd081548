"""Several utterances of one file: from the user's table to the sets."""

from __future__ import annotations

import math
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from emopipe.io.errors import UserError
from emopipe.recordings.reading import BLOCK, ROUNDED, Recording, RejectedError, describe, fingerprint
from emopipe.recordings.resampling import convert
from emopipe.schemas import splits, tables
from emopipe.schemas.manifest import Rejection, read_manifest
from stages import fetch, resample, split

PARAMS = Path(__file__).parents[2] / "params.yaml"


def noise(frames: int, channels: int = 1) -> np.ndarray:
    return np.clip(np.random.default_rng(frames).standard_normal((frames, channels)) / 5, -0.99, 0.99)


def reason(*recording) -> str:
    target = recording[0].parent / "out" / "x.flac"
    with pytest.raises(RejectedError) as rejected:
        convert(Recording(*recording), target)
    assert list(target.parent.iterdir()) == []
    return str(rejected.value)


# ---- one segment


@pytest.mark.parametrize(
    ("suffix", "subtype"),
    [("wav", "PCM_16"), ("wav", "FLOAT"), ("flac", "PCM_24"), ("aiff", "PCM_16"), ("ogg", "VORBIS"), ("mp3", None)],
)
@pytest.mark.parametrize(("start", "end"), [(1.2, 3.75), (math.nan, 0.5), (4.0, math.nan), (0.0, math.nan)])
def test_a_segment_becomes_what_a_file_cut_there_becomes(tmp_path, suffix, subtype, start, end):
    rate = 44_100
    soundfile.write(tmp_path / f"whole.{suffix}", noise(5 * rate, 2), rate, subtype=subtype)
    whole, _ = soundfile.read(tmp_path / f"whole.{suffix}", dtype="float32")
    first = 0 if math.isnan(start) else round(start * rate)
    last = len(whole) if math.isnan(end) else round(end * rate)
    soundfile.write(tmp_path / "cut.wav", whole[first:last], rate, subtype="FLOAT")
    cut = convert(Recording(tmp_path / "cut.wav"), tmp_path / "cut.flac")
    segment = convert(Recording(tmp_path / f"whole.{suffix}", start, end), tmp_path / "segment.flac")
    assert segment.samples == cut.samples == math.ceil((last - first) * 16_000 / rate - 0.5)
    one, other = (soundfile.read(tmp_path / f"{name}.flac", dtype="int16")[0] for name in ("cut", "segment"))
    if suffix == "mp3":  # the decoder warms up after it has jumped
        assert np.corrcoef(one, other)[0, 1] > 0.999
    else:
        assert segment.sha256 == cut.sha256


@settings(max_examples=12, deadline=None)
@given(cuts=st.lists(st.integers(1, 5 * 16_000 // 500 - 1), min_size=1, max_size=6, unique=True))
def test_segments_side_by_side_hold_every_sample_once(tmp_path_factory, cuts):
    folder = tmp_path_factory.mktemp("cuts")
    values = (noise(5 * 16_000)[:, 0] * 32768).astype(np.int16)
    soundfile.write(folder / "a.wav", values, 16_000)
    times = [0.0, *(500 * cut / 16_000 for cut in sorted(cuts)), math.nan]
    parts = []
    for start, end in pairwise(times):
        convert(Recording(folder / "a.wav", start, end), folder / "a.flac")
        parts.append(soundfile.read(folder / "a.flac", dtype="int16")[0])
    np.testing.assert_array_equal(np.concatenate(parts), values)


def test_only_the_segment_is_decoded_and_in_blocks(tmp_path):
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 8_000, 1, subtype="FLOAT") as file:
        for minute in range(10):
            values = noise(480_000)[:, 0]
            values[:100] = math.nan if minute in (0, 9) else values[:100]  # would be noticed
            file.write(values)
    tracemalloc.start()
    converted = convert(Recording(path, 60, 540), tmp_path / "part.flac")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert converted.samples == 480 * 16_000
    assert peak < 4e6  # the segment is 15 MB as float32
    assert reason(path, 60, 541) == "100 NaN or infinite sample(s) in frames 4281088 to 4327999"


def test_times_that_cannot_be_are_rejected_with_figures(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(16_000), 16_000)
    assert reason(path, 0.6, 0.5) == "the segment ends at 0.5 s and begins at 0.6 s"
    assert reason(path, 0.5, 0.5) == "the segment ends at 0.5 s and begins at 0.5 s"
    assert reason(path, math.nan, 0) == "the segment ends at 0 s and begins at 0 s"
    assert reason(path, 0.5, 1.2) == "the segment (0.5 s to 1.2 s) reaches beyond the end of the file, at 1 s"
    assert reason(path, 1.0) == "the segment (1 s) reaches beyond the end of the file, at 1 s"
    assert reason(path, math.inf).startswith("the segment (inf s) reaches beyond the end")
    assert reason(path, 0, math.inf).startswith("the segment (0 s to inf s) reaches beyond the end")
    assert reason(path, 0.5, 0.51) == "too short: 160 samples at 16000 Hz, fewer than 400"
    assert reason(path, 0.99999) == "too short: 0 samples at 16000 Hz, fewer than 400"
    assert reason(tmp_path / "gone.wav", 0.6, 0.5) == "missing file"


def test_a_time_that_was_rounded_up_is_the_end_of_the_file(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(16_000), 16_000)
    whole = convert(Recording(tmp_path / "a.wav"), tmp_path / "a.flac")
    assert convert(Recording(tmp_path / "a.wav", 0, 1 + ROUNDED), tmp_path / "b.flac") == whole
    reason(tmp_path / "a.wav", 0, 1 + ROUNDED + 1e-6)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3"])
def test_a_segment_of_a_cut_file_is_rejected_where_sound_is_missing(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(5 * BLOCK), 16_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "truncated" in reason(path, 15, 16)


def test_duration_is_that_of_the_segment_and_a_file_is_read_once(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", noise(16_000), 16_000)
    read = []
    monkeypatch.setattr("emopipe.recordings.reading.fingerprint", lambda path: read.append(path) or fingerprint(path))
    nan = math.nan
    times = [(nan, nan), (0.25, nan), (nan, 0.5), (0.25, 0.5), (0.5, 9), (9, nan), (0.5, 0.25)]
    described = describe([*(Recording(tmp_path / "a.wav", *t) for t in times), Recording(tmp_path / "gone.wav", 0, 1)])
    assert [seconds for _, seconds in described[:-1]] == [1, 0.75, 0.5, 0.25, 0.5, 0, 0]
    assert {sha256 for sha256, _ in described[:-1]} == {fingerprint(tmp_path / "a.wav")}
    assert described[-1][0] == "" and math.isnan(described[-1][1])
    assert read == [tmp_path / "a.wav"]


# ---- a table of segments


HEADER = "utterance,corpus,speaker,path,start,end,emotion\n"


@pytest.fixture
def stages(tmp_path, monkeypatch):
    """Return a function that runs fetch, resample and split on a table, and gives the sets."""
    params = yaml.safe_load(PARAMS.read_text())
    params["data"]["audio"]["corpora"], params["data"]["text"]["corpora"] = ["own/table.csv"], []
    params["split"]["audio"] |= {"strategy": "random"}
    params["resample"]["max_rejected"] = 0.5
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    (tmp_path / "own").mkdir()
    soundfile.write(tmp_path / "own" / "talk.wav", noise(20 * 16_000), 16_000)
    monkeypatch.chdir(tmp_path)

    def run(*lines: str):
        (tmp_path / "own" / "table.csv").write_text(HEADER + "".join(f"{line}\n" for line in lines))
        fetch.main()
        resample.main()
        split.main()
        return splits.read_audio()

    return run


def line(name: str, start: float | str, end: float | str, path: str = "talk.wav", emotion: str = "anger") -> str:
    return f"x/{name},x,,{path},{start},{end},{emotion}"


def test_segments_of_one_file_are_utterances_of_their_own_and_true_copies_leak(stages, tmp_path, capsys):
    parts = [line(f"{i:02}", i, i + 1, emotion="anger" if i % 2 else "calm") for i in range(20)]
    sound, _ = soundfile.read(tmp_path / "own" / "talk.wav", dtype="int16")
    soundfile.write(tmp_path / "own" / "copy.wav", sound[:32_000], 16_000)
    # The first two seconds once more: as a file of their own, and under another name.
    copies = [line("c0", "", 1, "copy.wav", "calm"), line("c1", 1, "", "copy.wav"), line("d0", 0, 1, emotion="calm")]
    sets = stages(*parts, *copies).set_index("utterance")["split"]
    raw, audio = read_manifest(fetch.AUDIO), read_manifest(resample.MANIFEST)
    assert audio["seconds"].tolist() == [1.0] * 23 and raw["seconds"].tolist() == [1.0] * 23
    assert raw.loc[3, ["start", "end"]].tolist() == [3.0, 4.0]
    assert audio[["start", "end"]].isna().all(axis=None)  # each is a file of its own now
    assert audio["sha256"].nunique() == 20
    for i in range(20):
        values, _ = soundfile.read(resample.MANIFEST.parent / f"x/{i:02}.flac", dtype="int16")
        np.testing.assert_array_equal(values, sound[16_000 * i : 16_000 * (i + 1)])
    assert set(sets[[f"x/{i:02}" for i in range(2, 20)]]) == {"train", "dev", "test"}  # none of them left out
    for same in (["x/00", "x/c0", "x/d0"], ["x/01", "x/c1"]):
        assert len(set(sets[sets.index.isin(same)])) == 1


def test_bad_segments_are_listed_and_the_run_goes_on(stages):
    good = [line(f"{i}", i, i + 1, emotion="anger" if i % 2 else "calm") for i in range(8)]
    stages(*good, line("reversed", 3, 2), line("beyond", 19, 22))
    rejected = tables.read(resample.REJECTED, Rejection)
    assert dict(zip(rejected["utterance"], rejected["reason"], strict=True)) == {
        "x/reversed": "the segment ends at 2 s and begins at 3 s",
        "x/beyond": "the segment (19 s to 22 s) reaches beyond the end of the file, at 20 s",
    }


def test_times_that_are_no_numbers_or_negative_are_named_by_row_and_column(stages):
    with pytest.raises(UserError, match=r"table\.csv: 2 invalid value") as error:
        stages(line("a", -1, 2), line("b", 1, "soon"))
    assert "row 2, column start: '-1': negative" in str(error.value)
    assert "row 3, column end: 'soon'" in str(error.value)


def test_a_moved_segment_changes_the_raw_manifest_and_the_text_branch_knows_no_times(stages):
    rows = [line(f"{i}", i, i + 1, emotion="anger" if i % 2 else "calm") for i in range(8)]
    stages(*rows)
    before, text = fetch.AUDIO.read_bytes(), fetch.TEXT.read_bytes()
    stages(*rows[:-1], line("7", 7, 8.5))
    assert fetch.AUDIO.read_bytes() != before and fetch.TEXT.read_bytes() == text
