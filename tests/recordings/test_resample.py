"""The resample stage, run as a user runs it: in a folder with a params.yaml and a raw manifest."""

import hashlib
import shutil
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from emopipe.corpora import emodb, ravdess
from emopipe.io.errors import UserError
from emopipe.recordings import resampling
from emopipe.schemas import tables
from emopipe.schemas.manifest import Rejection, Utterance, read_manifest, write_manifest
from stages import resample

PARAMS = Path(__file__).parents[2] / "params.yaml"
REAL = Path(__file__).parents[3] / "shared" / "data"


def noise(frames: int, channels: int = 1, level: float = 0.2) -> np.ndarray:
    values = np.random.default_rng(frames).standard_normal((frames, channels)) * level
    return np.clip(values, -0.99, 0.99)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(rows: list[dict], allowed: float = 1.0) -> tuple:
    params = yaml.safe_load(PARAMS.read_text())
    params["resample"]["max_rejected"] = allowed
    Path("params.yaml").write_text(yaml.safe_dump(params))
    write_manifest(tables.check(rows, Utterance, "rows"), resample.RAW)
    resample.main()
    return read_manifest(resample.MANIFEST), tables.read(resample.REJECTED, Rejection)


def row(name: str, path: str, **more) -> dict:
    return {"utterance": name, "corpus": "x", "path": path} | more


def test_stage_keeps_the_good_in_order_and_lists_the_bad(workspace, capsys):
    raw = workspace / "data" / "raw" / "audio"
    raw.mkdir(parents=True)
    soundfile.write(raw / "ä b.wav", noise(24_001), 48_000)
    (raw / "text.wav").write_text("no audio")
    soundfile.write(workspace / "far.wav", noise(16_000), 16_000)
    rows = [
        row("x/2 ü", "ä b.wav", emotion="fear", seconds=24_001 / 48_000),
        row("x/1", "text.wav"),
        row("x/3", "gone.wav"),
        row("x/0", str(workspace / "far.wav"), valence=4.5),
        row("x/4", "ä b.wav"),
    ]
    kept, rejected = run(rows)
    assert kept["utterance"].tolist() == ["x/2 ü", "x/0", "x/4"]
    assert kept["path"].tolist() == ["x/2 ü.flac", "x/0.flac", "x/4.flac"]
    assert kept.at[0, "emotion"] == "fear" and kept.at[1, "valence"] == 4.5
    assert kept["seconds"].tolist() == [8_000 / 16_000, 1.0, 8_000 / 16_000]
    assert kept.at[0, "sha256"] == kept.at[2, "sha256"] != kept.at[1, "sha256"]  # one recording under two names
    for line in kept.itertuples():
        content = (resample.MANIFEST.parent / line.path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == line.sha256
    assert rejected.to_dict("records") == [
        {"utterance": "x/1", "path": "text.wav", "reason": "not readable as audio: Format not recognised"},
        {"utterance": "x/3", "path": "gone.wav", "reason": "missing file"},
    ]
    assert "3 recordings" in capsys.readouterr().out
    written = {p.relative_to("data/audio").as_posix() for p in Path("data/audio").rglob("*") if p.is_file()}
    assert written == {"manifest.csv", "rejected.csv", *kept["path"]}


def test_stage_gives_the_same_bytes_again(workspace):
    soundfile.write(workspace / "a.wav", noise(9_000, 2), 44_100)
    rows = [row("x/a", str(workspace / "a.wav")), row("x/b", "gone.wav")]
    run(rows)
    first = {path: path.read_bytes() for path in Path("data/audio").rglob("*.*")}
    run(rows)
    assert {path: path.read_bytes() for path in Path("data/audio").rglob("*.*")} == first


def test_stage_stops_when_too_many_are_bad_and_says_which(workspace):
    soundfile.write(workspace / "a.wav", noise(9_000), 16_000)
    rows = [row("x/good", str(workspace / "a.wav")), *(row(f"x/{i}", f"{i}.wav") for i in range(12))]
    with pytest.raises(UserError) as error:
        run(rows, allowed=0.05)
    message = str(error.value)
    assert "12 of 13 recordings cannot be used, more than resample.max_rejected=0.05" in message
    assert message.count("missing file") == 10 and "x/0 (0.wav): missing file" in message
    assert "rejected.csv" in message and len(tables.read(resample.REJECTED, Rejection)) == 12
    assert not resample.MANIFEST.exists()


@pytest.mark.parametrize("change", ["before", "meanwhile", "gone"])
def test_a_recording_that_is_no_longer_what_was_fetched_stops_the_run_by_name(workspace, monkeypatch, change):
    paths = [workspace / f"{name}.wav" for name in "ab"]
    for path in paths:
        soundfile.write(path, noise(9_000), 16_000)
    rows = [row(f"x/{path.stem}", str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths]
    run(rows)  # as long as nothing changes, nothing is printed
    convert_all = resample.convert_all

    def converted(*arguments) -> list:
        outcomes = convert_all(*arguments)
        soundfile.write(paths[1], noise(8_000), 16_000)  # while the last ones are decoded
        return outcomes

    if change == "before":
        soundfile.write(paths[1], noise(8_000), 16_000)
    elif change == "gone":
        paths[1].unlink()
    else:
        monkeypatch.setattr(resample, "convert_all", converted)
    with pytest.raises(UserError) as error:
        run(rows)
    assert str(error.value).startswith("1 file(s) have changed, or gone, since the fetch stage read the corpora")
    assert "`dvc repro -f fetch` and `dvc repro`" in str(error.value)
    assert str(error.value).endswith(f"x/b ({paths[1]})")
    assert not resample.MANIFEST.exists()  # nothing that the next stage would take for whole
    monkeypatch.undo()
    monkeypatch.chdir(workspace)
    rows[1]["sha256"] = hashlib.sha256(paths[1].read_bytes()).hexdigest() if paths[1].exists() else ""
    assert len(run(rows)[0]) == (1 if change == "gone" else 2)


def test_stage_goes_on_at_exactly_the_allowed_share(workspace):
    soundfile.write(workspace / "a.wav", noise(9_000), 16_000)
    kept, rejected = run([row("x/good", str(workspace / "a.wav")), row("x/bad", "gone.wav")], allowed=0.5)
    assert (len(kept), len(rejected)) == (1, 1)


def test_stage_without_recordings_writes_headers(workspace):
    kept, rejected = run([])
    assert len(kept) == 0 and len(rejected) == 0


@pytest.mark.parametrize(("reader", "count"), [(emodb, 342), (ravdess, 180)])
def test_real_corpora_pass_whole(workspace, reader, count):
    folder = REAL / reader.CORPUS.key
    if not folder.is_dir():
        pytest.skip(f"{reader.CORPUS.key} is not at hand in {folder}")
    rows = reader.read(folder).to_dict("records")
    kept, rejected = run(rows, allowed=0.0)
    assert (len(kept), len(rejected)) == (count, 0)
    if reader is emodb:  # 16 kHz mono already
        values, _ = soundfile.read(rows[0]["path"], dtype="int16")
        same, _ = soundfile.read(resample.MANIFEST.parent / kept.at[0, "path"], dtype="int16")
        np.testing.assert_array_equal(same, values)
    else:
        assert sum(soundfile.info(line["path"]).channels == 2 for line in rows) == 5


def test_a_worker_that_dies_before_all_is_handed_out_is_one_message(workspace, monkeypatch):
    def gone(*_, **__):
        raise BrokenProcessPool

    monkeypatch.setattr(ProcessPoolExecutor, "submit", gone)
    with pytest.raises(UserError, match="a process that resamples was killed"):
        run([row("x/1", "a.wav")])


def test_a_run_that_was_stopped_converts_what_is_missing_and_nothing_twice(workspace, monkeypatch):
    for i in range(7):
        soundfile.write(workspace / f"{i}.wav", noise(9_000 + i), 16_000)
    (workspace / "3.wav").write_text("no audio")
    rows = [row(f"x/{i}", str(workspace / f"{i}.wav")) for i in range(7)]
    monkeypatch.setattr(resampling, "PART", 2)
    write, written, room = resampling._write_outcomes, [], 2

    def counted(outcomes, place) -> None:
        if len(written) == room:
            raise KeyboardInterrupt
        written.append(place.name)
        write(outcomes, place)

    monkeypatch.setattr(resampling, "_write_outcomes", counted)
    with pytest.raises(KeyboardInterrupt):
        run(rows)
    assert not resample.MANIFEST.exists()
    room = 4
    kept, rejected = run(rows)
    assert written == ["00000", "00001", "00002", "00003"]
    assert not Path(".checkpoints").exists()
    found = [(resample.MANIFEST.parent / path).read_bytes() for path in kept["path"]]
    monkeypatch.undo()
    monkeypatch.chdir(workspace)
    shutil.rmtree("data/audio")
    again, _ = run(rows)
    assert [(resample.MANIFEST.parent / path).read_bytes() for path in again["path"]] == found
    assert list(rejected["utterance"]) == ["x/3"]
