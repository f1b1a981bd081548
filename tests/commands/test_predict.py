"""`emopipe predict`: files, folders and tables in, a table out, and an exit code that can be trusted."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from emopipe.recordings.reading import Recording
from helpers.bad_recordings import BAD
from helpers.commands import run_command
from helpers.paths import ROOT
from helpers.small_corpus import train_small


@pytest.fixture(scope="module")
def model(small_corpus, folder):
    """Return the folder of a small trained model."""
    train_small(small_corpus, folder, {"model.ensemble_size": 2, "train.epochs": 2})
    return small_corpus / "models/audio"


@pytest.fixture
def calls(model, tmp_path) -> Path:
    """Return a folder with five recordings, two of them further down."""
    files = sorted((model.parents[1] / "data/raw/audio").rglob("*.wav"))[:5]
    for number, file in enumerate(files):
        target = tmp_path / "calls" / ("deep/er" if number > 2 else ".") / f"{number}.wav"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    return tmp_path / "calls"


@pytest.fixture
def predict(model, monkeypatch, capsys):
    """Return a function that runs the command and returns its exit code, and what it wrote to stdout and stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        return run_command(monkeypatch, capsys, "predict", *words, "--model", model, "--device", "cpu")

    return run


def test_files_and_folders_give_a_row_each_in_order(predict, calls, model):
    from emopipe import Recognizer

    code, out, err = predict(calls / "1.wav", calls, "--segments", "none")
    table = pd.read_csv(io.StringIO(out), keep_default_na=False)
    names = [calls / "1.wav", *(calls / name for name in ("0.wav", "1.wav", "2.wav", "deep/er/3.wav", "deep/er/4.wav"))]
    assert code == 0 and err == "6 ok\n" and table["file"].tolist() == list(map(str, names))
    expected = Recognizer.load(model, device="cpu")(names, "none")
    pd.testing.assert_frame_equal(table.drop(columns="file"), expected.drop(columns="clip"), check_exact=True)


def test_a_table_keeps_its_columns_and_its_segments_are_answered(predict, calls, model):
    from emopipe import Recognizer

    (calls / "s.csv").write_text("file;who;emotion;begin;end\n0.wav;anna;=1+1;0,5;1,5\n./1.wav;bert;sad;;\n")
    code, out, _ = predict(calls / "s.csv", "--format", "jsonl", "--segments", "none")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [row["who"] for row in rows] == ["anna", "bert"]
    assert [(row["emotion"], row["begin"], row["start"]) for row in rows] == [("=1+1", "0,5", 0.5), ("sad", "", 0.0)]
    expected = Recognizer.load(model, device="cpu")([Recording(calls / "0.wav", 0.5, 1.5), calls / "1.wav"])
    assert [row["predicted_emotion"] for row in rows] == expected["emotion"].tolist()
    assert [row["confidence"] for row in rows] == pytest.approx(expected["confidence"].tolist(), abs=1e-6)
    _, out, _ = predict(calls / "s.csv", "--segments", "none")
    assert "'=1+1" in out  # a spreadsheet would compute it


def test_every_bad_file_has_a_reason_and_the_good_ones_are_answered(predict, calls, tmp_path):
    (tmp_path / "bad").mkdir()
    for number, (content, _) in enumerate(BAD.values()):
        path = tmp_path / "bad" / f"{number}.wav"
        content(path) if callable(content) else path.write_bytes(content)
    listed = "".join(f"bad/{number}.wav\n" for number in range(len(BAD)))
    (tmp_path / "all.csv").write_text(f"file\ncalls/0.wav\n{listed}calls/2.wav\n")
    output = tmp_path / "answers.csv"
    code, out, err = predict(tmp_path / "all.csv", "--output", output, "--segments", "none")
    table = pd.read_csv(output, keep_default_na=False)
    assert code == 1 and out == "" and len(table) == len(BAD) + 2
    assert table["status"].iloc[[0, -1]].tolist() == ["ok", "ok"] and not (table["status"].iloc[1:-1] == "ok").any()
    assert (table["reason"] != "").iloc[1:-1].all() and (table["emotion"] == "").iloc[1:-1].all()
    failed = table["status"].isin(["unreadable", "too_short"]).sum()
    assert f"error: {failed} of {len(table)} recordings could not be answered" in err
    assert f"{(table['status'] == 'no_speech').sum()} no_speech" in err


def test_silence_alone_is_no_failure(predict, tmp_path):
    (tmp_path / "a.wav").write_bytes(BAD["silence"][0])
    assert predict(tmp_path / "a.wav")[0] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.wav"], "nowhere.wav: no such file or folder"),
        (["empty"], "empty: no recording below it"),
        (["t.csv"], "t.csv: no column file, of recordings; found who"),
        (["times.csv"], "times.csv: row 2, column start: 'soon': no time in seconds"),
        (["a.wav", "--output", "a.xlsx"], "--output: a.xlsx: no format of that name; choose --format csv, json, "),
        (["a.wav", "--summary", "a.eaf"], "--summary: a.eaf: not a table; its name ends in .csv, "),
        (["a.wav", "--format", "eaf"], "--format eaf: a file for every recording; name a file, or a folder"),
        (["a.wav", "--format", "parquet"], "--format parquet: the terminal cannot show it"),
        (["a.wav", "--hop", "1"], "--window and --hop need --segments windows"),
    ],
)
def test_what_cannot_be_asked_is_one_line_before_any_work(predict, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("emopipe.recognition.speech.Recognizer.load", lambda *_: pytest.fail("loaded"))
    Path("empty").mkdir()
    Path("t.csv").write_text("who\nanna\n")
    Path("times.csv").write_text("file,start\na.wav,soon\n")
    code, out, err = predict(*words)
    assert code == 1 and out == "" and err.startswith(f"error: {message}")


# ---- segments, formats, summaries


@pytest.fixture
def meeting(calls) -> Path:
    """Return a recording of the five with a second of silence before each."""
    parts = [soundfile.read(file, dtype="int16") for file in sorted(calls.rglob("*.wav"))]
    rate = parts[0][1]
    sound = np.concatenate([part for samples, _ in parts for part in (np.zeros(rate, np.int16), samples)])
    soundfile.write(calls.parent / "meeting.wav", sound, rate)
    return calls.parent / "meeting.wav"


def test_every_format_holds_the_same_answers(predict, meeting, tmp_path):
    pytest.importorskip("praatio")
    pytest.importorskip("pyarrow")
    code, out, err = predict(meeting)
    expected = pd.read_csv(io.StringIO(out), keep_default_na=False, na_values={"confidence": ""})
    heard = expected[expected["status"] == "ok"]
    assert code == 0 and len(heard) >= 5 and f"{len(heard)} ok" in err
    for name, read in (
        ("a.csv", pd.read_csv), ("a.json", pd.read_json), ("a.parquet", pd.read_parquet),
        ("a.jsonl", lambda path: pd.read_json(path, lines=True)),
    ):  # fmt: skip
        code, out, _ = predict(meeting, "--output", tmp_path / name)
        table = read(tmp_path / name)
        assert (code, out) == (0, "") and list(table) == list(expected)
        assert table["emotion"].fillna("").tolist() == expected["emotion"].tolist()
        np.testing.assert_allclose(table["confidence"].astype(float), expected["confidence"])
    for name in ("a.TextGrid", "a.eaf", "a.txt", "a.vtt"):
        assert predict(meeting, "--output", tmp_path / name)[0] == 0
        written = (tmp_path / name).read_text(encoding="utf-8")
        assert all(written.count(emotion) >= number for emotion, number in heard["emotion"].value_counts().items())
    assert not list(tmp_path.rglob("*.part*"))


def test_documents_of_several_recordings_lie_as_these_do(predict, calls, tmp_path):
    shutil.copy(calls / "0.wav", calls / "0.flac")
    assert predict(calls, "--output", tmp_path / "labels", "--format", "audacity")[0] == 0
    found = sorted(path.relative_to(tmp_path / "labels").as_posix() for path in (tmp_path / "labels").rglob("*.*"))
    assert found == ["0.txt", "0.wav.txt", "1.txt", "2.txt", "deep/er/3.txt", "deep/er/4.txt"]


def test_a_summary_is_the_mean_weighed_by_length(predict, meeting, calls, tmp_path):
    code, _, _ = predict(meeting, calls / "0.wav", "--output", tmp_path / "a.csv", "--summary", tmp_path / "s.csv")
    rows, table = pd.read_csv(tmp_path / "a.csv"), pd.read_csv(tmp_path / "s.csv", keep_default_na=False)
    assert code == 0 and table["file"].tolist() == [str(meeting), str(calls / "0.wav")]
    heard = rows[(rows["file"] == str(meeting)) & (rows["status"] == "ok")]
    lengths = heard["end"] - heard["start"]
    chances = heard.filter(regex="^p_")
    expected = chances.mul(lengths, axis=0).sum() / lengths.sum()
    np.testing.assert_allclose(table.loc[0, expected.index].astype(float), expected)
    assert table.loc[0, "emotion"] == expected.idxmax()[2:] and table.loc[0, "segments"] == len(heard)
    assert table.loc[0, "answered"] == pytest.approx(lengths.sum())
    assert table.loc[0, "seconds"] == pytest.approx(soundfile.info(meeting).duration, abs=1e-3)


def test_each_channel_may_be_answered_by_itself(predict, calls, tmp_path):
    parts = [soundfile.read(calls / f"{number}.wav", dtype="int16") for number in (0, 1)]
    length = min(len(samples) for samples, _ in parts)
    soundfile.write(tmp_path / "two.wav", np.column_stack([samples[:length] for samples, _ in parts]), parts[0][1])
    for number, (samples, rate) in enumerate(parts):
        soundfile.write(tmp_path / f"{number}.wav", samples[:length], rate)
    code, out, _ = predict(tmp_path / "two.wav", tmp_path / "gone.wav", "--channels", "each")
    assert code == 1 and out == ""  # named, before any work
    code, out, _ = predict(tmp_path / "two.wav", "--channels", "each", "--segments", "none")
    table = pd.read_csv(io.StringIO(out))
    alone = pd.read_csv(io.StringIO(predict(tmp_path / "0.wav", tmp_path / "1.wav", "--segments", "none")[1]))
    assert code == 0 and table["channel"].tolist() == [0, 1] and set(table["file"]) == {str(tmp_path / "two.wav")}
    pd.testing.assert_frame_equal(table.drop(columns=["file", "channel"]), alone.drop(columns="file"))


# ---- abstention, texts, pictures


def test_what_is_not_certain_is_abstained_and_no_failure(predict, calls, tmp_path):
    found = pd.read_csv(io.StringIO(predict(calls, "--segments", "none")[1]))
    middle = found["confidence"].median()
    code, out, err = predict(calls, "--segments", "none", "--min-confidence", middle, "--summary", tmp_path / "s.csv")
    table = pd.read_csv(io.StringIO(out))
    below = found["confidence"] < middle
    assert code == 0 and below.sum() == 2 and f"3 ok, {below.sum()} abstained" in err
    assert table.loc[below, "emotion"].isna().all() and (table.loc[below, "status"] == "abstained").all()
    assert table.loc[~below, "emotion"].tolist() == found.loc[~below, "emotion"].tolist()
    assert table["confidence"].tolist() == found["confidence"].tolist()
    assert pd.read_csv(tmp_path / "s.csv")["status"].tolist() == table["status"].tolist()


def test_sets_and_coverage_come_from_the_dev_set(predict, calls, model):
    from emopipe.schemas import dev_answers
    from emopipe.scoring.selective import confidence_threshold, conformal_threshold

    code, out, _ = predict(calls, "--segments", "none", "--coverage", "0.7", "--sets", "0.6")
    table = pd.read_csv(io.StringIO(out))
    dev = dev_answers.read(model)
    threshold = confidence_threshold(dev.probabilities, dev.speakers, 0.7)
    largest, _ = conformal_threshold(dev.probabilities, dev.targets, dev.speakers, 0.6)
    chances = table.filter(regex="^p_").set_axis([name[2:] for name in table if name.startswith("p_")], axis=1)
    assert code == 0 and list(table)[3:6] == ["emotion", "set", "confidence"]
    for row, own in zip(table.itertuples(), chances.to_dict("records"), strict=True):
        assert (row.status == "abstained") == (row.confidence < threshold)
        expected = {label for label, chance in own.items() if 1 - chance <= largest} | {max(own, key=own.get)}
        assert set(row.set.split("|")) == expected


def test_pictures_are_drawn(predict, meeting, calls, tmp_path):
    assert predict(meeting, "--plot", tmp_path / "a.png")[0] == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG") and not list(tmp_path.glob("*.part.jsonl"))
    assert predict(calls, "--plot", tmp_path / "pictures")[0] == 0
    assert len(list((tmp_path / "pictures").rglob("*.png"))) == 5


@pytest.mark.parametrize(
    ("words", "named"),
    [(["--plot", "a.png"], "--plot"), (["--channels", "each"], "--channels each"), (["--sets", "0.9"], "--sets"),
     (["--format", "eaf"], "--format eaf"), (["--min-confidence", "0.9"], "--min-confidence")],
)  # fmt: skip
def test_what_is_of_recordings_alone_is_refused_of_texts(predict, words, named):
    code, out, err = predict("--text", "lines.txt", *words)
    assert code == 1 and out == "" and err == f"error: {named}: of recordings alone, without --text and --both"


# ---- going on


def test_a_run_that_stops_goes_on_where_it_was(predict, calls, tmp_path, monkeypatch):
    from emopipe import Recognizer

    expected = tmp_path / "expected.csv"
    assert predict(calls, "--output", expected)[0] == 0
    answers, taken = Recognizer.answers, []

    def stopped(self, clips, cutting):
        for answer in answers(self, clips, cutting):
            if answer.number == 3:
                raise KeyboardInterrupt
            yield answer

    def counted(self, clips, cutting):
        return answers(self, (taken.append(clip) or clip for clip in clips), cutting)

    monkeypatch.setattr(Recognizer, "answers", stopped)
    output = tmp_path / "answers.csv"
    code, _, _ = predict(calls, "--output", output)
    assert code == 130 and not output.exists() and (tmp_path / "answers.csv.part.jsonl").exists()
    monkeypatch.setattr(Recognizer, "answers", counted)
    code, _, err = predict(calls, "--output", output)
    assert code == 0 and "going on with a run that was stopped after 2 recordings" in err and len(taken) == 3
    assert output.read_bytes() == expected.read_bytes() and not list(tmp_path.glob("*.part.jsonl"))


@pytest.mark.slow
def test_killed_five_times_on_the_way_it_ends_with_the_same_bytes(model, calls, tmp_path):
    files = sorted(calls.rglob("*.wav"))
    (tmp_path / "many").mkdir()
    for number in range(200):
        samples, rate = soundfile.read(files[number % len(files)], dtype="int16")
        soundfile.write(tmp_path / f"many/{number:03}.wav", samples[number:], rate)

    def start(output):
        command = [sys.executable, "-m", "emopipe", "predict", "many", "--model", str(model), "--output", output]
        return subprocess.Popen(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)})

    assert start("expected.csv").wait() == 0
    journal, generator = tmp_path / "answers.csv.part.jsonl", np.random.default_rng(0)
    for number in range(1, 6):
        process = start("answers.csv")
        while not journal.exists() or journal.read_bytes().count(b"\n") < 30 * number + generator.integers(10):
            assert process.poll() is None
        process.kill()
        process.wait()
    assert start("answers.csv").wait() == 0
    assert (tmp_path / "answers.csv").read_bytes() == (tmp_path / "expected.csv").read_bytes()
