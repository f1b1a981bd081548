"""The benchmarks run: at a small size, so that what they call is still there. Their times are looked at by people."""

from __future__ import annotations

import re
import sys

import numpy as np
import pytest
import soundfile

from benchmarks import encode, memory, resample, text


@pytest.fixture
def asked(monkeypatch):
    """Return a function that sets what the program was called with."""
    return lambda *words: monkeypatch.setattr(sys, "argv", ["benchmark", *map(str, words)])


@pytest.mark.parametrize("way", encode.WAYS)
def test_every_way_to_train_makes_a_step(folders, way):
    encode.Ways(folders("wav2vec2", num_hidden_layers=4)).way(way)()


@pytest.mark.slow
def test_the_text_encoder_is_trained_with_short_and_long_batches(tmp_path, asked, capsys):
    lines = [f"{i},train,3.{i % 10},2.5,3.0,It was day {i}." for i in range(64)]
    (tmp_path / "emobank.csv").write_text("\n".join(["id,split,V,A,D,text", *lines, ""]))
    asked(tmp_path, "--batches", 1, "--rounds", 1, "--threads", 1)
    text.main()
    assert re.search(r"fixed: .* batches 128 tokens wide on average\nratio \d", capsys.readouterr().out)


@pytest.mark.slow
def test_resampling_is_compared_and_its_growth_shown(tmp_path, asked, capsys):
    for i in range(4):
        soundfile.write(tmp_path / f"{i}.wav", np.random.default_rng(i).normal(0, 0.1, 8_000), 8_000)
    asked(tmp_path, "--rounds", 1)
    resample.main()
    assert re.search(r"\| stage, workers 2 \|.*x \|.*\n1 files: .*\n2 files: .*\n4 files: ", capsys.readouterr().out)


@pytest.mark.slow
def test_the_memory_of_the_encode_stage_is_taken(tmp_path):
    assert 100 < memory.peak(0.1, tmp_path) < 10_000
