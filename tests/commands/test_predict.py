"""`emopipe predict`: files, folders and tables in, a table out, and an exit code that can be trusted."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from emopipe.commands.main import main
from emopipe.recordings.reading import Recording
from helpers.bad_recordings import BAD
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
        monkeypatch.setattr(
            "sys.argv", ["emopipe", "predict", *map(str, words), "--model", str(model), "--device", "cpu"]
        )
        capsys.readouterr()
        try:
            main()
            code, told = 0, ""
        except SystemExit as end:
            code, told = (end.code, "") if isinstance(end.code, int) else (1, str(end.code))
        printed = capsys.readouterr()
        return code, printed.out, printed.err + told

    return run


def test_files_and_folders_give_a_row_each_in_order(predict, calls, model):
    from emopipe import Recognizer

    code, out, err = predict(calls / "1.wav", calls)
    table = pd.read_csv(io.StringIO(out), keep_default_na=False)
    names = [calls / "1.wav", *(calls / name for name in ("0.wav", "1.wav", "2.wav", "deep/er/3.wav", "deep/er/4.wav"))]
    assert code == 0 and err == "6 ok\n" and table["file"].tolist() == list(map(str, names))
    expected = Recognizer.load(model, device="cpu")(names)
    pd.testing.assert_frame_equal(table.drop(columns="file"), expected.drop(columns="clip"), atol=1e-6)


def test_a_table_keeps_its_columns_and_its_segments_are_answered(predict, calls, model):
    from emopipe import Recognizer

    (calls / "s.csv").write_text("file;who;emotion;begin;end\n0.wav;anna;=1+1;0,5;1,5\n./1.wav;bert;sad;;\n")
    code, out, _ = predict(calls / "s.csv", "--format", "jsonl")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [row["who"] for row in rows] == ["anna", "bert"]
    assert [(row["emotion"], row["begin"]) for row in rows] == [("=1+1", "0,5"), ("sad", "")]
    expected = Recognizer.load(model, device="cpu")([Recording(calls / "0.wav", 0.5, 1.5), calls / "1.wav"])
    assert [row["predicted_emotion"] for row in rows] == expected["emotion"].tolist()
    assert [row["confidence"] for row in rows] == pytest.approx(expected["confidence"].tolist(), abs=1e-6)
    _, out, _ = predict(calls / "s.csv")
    assert "'=1+1" in out  # a spreadsheet would compute it


def test_every_bad_file_has_a_reason_and_the_good_ones_are_answered(predict, calls, tmp_path):
    (tmp_path / "bad").mkdir()
    for number, (content, _) in enumerate(BAD.values()):
        path = tmp_path / "bad" / f"{number}.wav"
        content(path) if callable(content) else path.write_bytes(content)
    listed = "".join(f"bad/{number}.wav\n" for number in range(len(BAD)))
    (tmp_path / "all.csv").write_text(f"file\ncalls/0.wav\n{listed}calls/2.wav\n")
    output = tmp_path / "answers.csv"
    code, out, err = predict(tmp_path / "all.csv", "--output", output)
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
        (["a.wav", "--output", "a.xlsx"], "--output: a.xlsx: no format of that name; choose --format csv or jsonl"),
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
