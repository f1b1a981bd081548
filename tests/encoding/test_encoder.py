"""The encoder: every clip alone, whatever the number of threads; a corpus under every condition."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from benchmarks.networks import FAMILIES
from emopipe.backbones.loading import load
from emopipe.backbones.parameters import BackboneChoice
from emopipe.encoding import store
from emopipe.encoding.corpus import tell_unheard
from emopipe.encoding.encoder import Encoder
from emopipe.encoding.parameters import Encode
from emopipe.io.errors import UserError
from emopipe.schemas.manifest import write_manifest
from helpers.clips import clip
from helpers.small_corpus import SMALL, write_params
from stages import encode

RATE = 16_000
CPU = torch.device("cpu")


def encoder(folder: Path, **changes: object) -> Encoder:
    conditions = {"speed_perturbation": [], "conditions": [], "condition_draws": 1}
    settings = {"max_seconds": 1.0, "precision": "float32"} | conditions | changes
    choice = BackboneChoice(backbone=str(folder), output_layer=None, trainable_layers=2, features="both")
    return Encoder.load(choice, Encode(**settings), CPU)


@pytest.fixture
def threads():
    """Return a function that sets the number of threads; afterwards it is what it was."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("family", FAMILIES)
def test_clips_are_encoded_in_order_and_alike_by_any_number_of_threads(folders, family, threads):
    made = encoder(folders(family))
    clips = [clip(5_000 + 331 * i, i).numpy() for i in range(30)]
    found = []
    for number in (1, 3):
        threads(number)
        found.append(list(made(clips)))
        assert torch.get_num_threads() == number
    threads(1)
    for samples, *encodings in zip(clips, *found, strict=True):
        (alone,) = made.backbone.encode([torch.from_numpy(samples)], 2)
        for frames, statistics in encodings:
            assert torch.equal(frames, alone.frames)
            assert torch.equal(statistics, alone.statistics)


def test_clips_are_taken_as_they_are_needed(folder):
    taken = []

    def clips():
        for i in range(1_000):
            taken.append(i)
            yield clip(2_000).numpy()

    encodings = encoder(folder)(clips())
    next(encodings)
    assert len(taken) < 20 * torch.get_num_threads()
    encodings.close()


def test_a_clip_that_cannot_be_had_stops_the_encoder(folder):
    def clips():
        yield clip(2_000).numpy()
        raise UserError("no such recording")

    with pytest.raises(UserError, match="no such recording"):
        list(encoder(folder)(clips()))


def test_a_clip_is_cut_to_what_is_encoded(folder):
    made = encoder(folder, max_seconds=0.5)
    long, short = made([clip(16_000).numpy(), clip(16_000)[:8_000].numpy()])
    assert torch.equal(long.frames, short.frames)


def test_a_backbone_that_takes_shorter_clips_is_named(folder):
    with pytest.raises(UserError, match=r"encode\.max_seconds: 1\.5, but .* takes 1 s at most"):
        encoder(folder, max_seconds=1.5)


def test_bfloat16_reaches_the_threads(folder):
    (exact,), (rough,) = (encoder(folder, precision=name)([clip().numpy()]) for name in ("float32", "bfloat16"))
    error = (rough.frames - exact.frames).norm() / exact.frames.norm()
    assert 0 < error < 0.03


def tone(hertz: float, seconds: float) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


@pytest.mark.parametrize("features", ["frozen", "both"])
def test_a_corpus_is_encoded_at_every_speed_within_the_limit(small_corpus, tmp_path, monkeypatch, folders, features):
    folder = tmp_path / "repository"
    shutil.copytree(small_corpus, folder)
    monkeypatch.chdir(folder)
    choices = {
        "encode.speed_perturbation": [0.8, 1.25], "encode.max_seconds": 1.0, "model.features": features,
        "model.backbone": str(folders("wav2vec2")),
    }  # fmt: skip
    write_params(folder, SMALL | choices)
    manifest = pd.read_csv("data/audio/manifest.csv")
    for path, seconds in zip(manifest["path"], (0.5, 0.9, *[0.6] * len(manifest)), strict=False):
        soundfile.write(Path("data/audio") / path, tone(1_000, seconds), RATE, subtype="PCM_16")
    encode.main()
    opened = store.Store()
    assert opened.conditions == ["original", "speed=0.8", "speed=1.25"]
    assert Counter(opened.index["utterance"]) == dict.fromkeys(manifest["utterance"], 3)
    assert Path("data/encoded/shards/00000/frames.npy").is_file() == (features == "both")
    backbone = load(str(folders("wav2vec2")))
    alone = {
        "original": (1_000, 0.5, 0.9), "speed=0.8": (800, 0.625, 1.0), "speed=1.25": (1_250, 0.4, 0.72),
    }  # fmt: skip
    for condition, (hertz, *seconds) in alone.items():
        for name, length in zip(manifest["utterance"], seconds, strict=False):
            frames, statistics = backbone.encode([torch.from_numpy(tone(hertz, length))], 1)[0]
            (row,) = rows = opened.rows([name], condition)
            assert opened.lengths(rows).tolist() == [len(frames)]  # 0.9 s at 0.8 are 1.125 s, of which one is encoded
            found, expected = opened.statistics(rows)[0, 0, -1], statistics[0, -1].numpy()
            assert np.corrcoef(found, expected)[0, 1] > 0.99, condition
            if features == "both":
                assert opened.frames(row).shape == frames.shape


def test_seconds_that_are_not_heard_are_counted(tmp_path, capsys):
    seconds = {f"x/{i}": 2.0 for i in range(24)} | {"x/long": 280.0}
    rows = pd.DataFrame({"utterance": seconds.keys(), "corpus": "x", "path": "a.flac", "seconds": seconds.values()})
    write_manifest(rows, tmp_path / "manifest.csv")
    tell_unheard(tmp_path / "manifest.csv", max_seconds=15)
    what = "1 of 25 recordings is longer than encode.max_seconds (15 s); 265 s are not heard; the first: x/long"
    assert capsys.readouterr().out == f"audio: {what}\n"
    tell_unheard(tmp_path / "manifest.csv", max_seconds=300)
    assert capsys.readouterr().out == ""
