"""`emopipe listen`: raw samples in, a line for every segment as it ends, the same as for a file."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from emopipe import Recognizer
from emopipe.commands.main import main
from emopipe.recognition.segmentation import Cutting
from helpers.paths import ROOT
from helpers.small_corpus import train_small


@pytest.fixture(scope="module", params=["classification", "regression"])
def model(small_corpus, folder, request):
    """Return the folder of a small trained model."""
    train_small(small_corpus, folder, {"model.task": request.param, "model.ensemble_size": 2, "train.epochs": 2})
    return small_corpus / "models/audio"


@pytest.fixture
def speech(model, tmp_path):
    """Return a file with utterances in two channels, and its samples."""
    files = sorted((model.parents[1] / "data/raw/audio").rglob("*.wav"))[:4]
    parts = [soundfile.read(file, dtype="int16") for file in files]
    rate = parts[0][1]
    mono = np.concatenate([part for samples, _ in parts for part in (samples, np.zeros(rate, np.int16))])
    samples = np.column_stack([mono, np.roll(mono, 3)])
    soundfile.write(tmp_path / "speech.wav", samples, rate)
    return tmp_path / "speech.wav", samples, rate


class Trickle(io.BytesIO):
    """Standard input of which an odd number of bytes comes at a time."""

    def read1(self, _size=-1):
        return self.read(4_097)


@pytest.fixture
def listen(model, monkeypatch, capsys):
    """Return a function that runs the command on samples, and returns its lines."""

    def run(samples, *words):
        monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": Trickle(samples.astype("<i2").tobytes() + b"x")}))
        monkeypatch.setattr("sys.argv", ["emopipe", "listen", "-", "--model", str(model), "--device", "cpu", *words])
        capsys.readouterr()
        main()
        return capsys.readouterr().out.splitlines()

    return run


def test_the_answers_are_those_to_the_file(listen, speech, model):
    path, samples, rate = speech
    for cutting, words in (
        (Cutting("speech"), []),
        (Cutting("windows", window=0.9, hop=0.5), ["--segments", "windows", "--window", "0.9", "--hop", "0.5"]),
    ):
        lines = listen(samples, "--rate", str(rate), "--channels", "2", "--format", "jsonl", *words)
        expected = Recognizer.load(model, device="cpu")([path], cutting).drop(columns="clip").to_dict("records")
        assert len(lines) == len(expected) > 5
        for line, row in zip(map(json.loads, lines), expected, strict=True):
            assert list(line) == list(row) and line["status"] == row["status"]
            numbers = [name for name in row if isinstance(row[name], float) and line[name] is not None]
            assert [line[name] for name in numbers] == pytest.approx([row[name] for name in numbers], abs=1e-5)


def test_people_are_told_what_was_answered(listen, speech, model):
    _, samples, rate = speech
    lines = listen(samples, "--rate", str(rate), "--channels", "2")
    found = Recognizer.load(model, device="cpu")([(samples, rate)], "speech")
    heard = found[found["status"] == "ok"]
    assert len(lines) == len(heard) > 3
    for line, row in zip(lines, heard.itertuples(), strict=True):
        said = (
            f"{row.emotion} {row.confidence:.2f}" if hasattr(row, "emotion") else f"valence {row.valence:.1f}, arousal"
        )
        assert f"{row.start:.2f} to" in line and f"{row.end:.2f} s  {said}" in line


def test_what_cannot_be_is_one_line():
    command = [sys.executable, "-m", "emopipe", "listen", "-", "--rate", "0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr == "error: --rate and --channels: at least 2000 Hz and one channel\n"
