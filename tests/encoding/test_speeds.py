"""Speed perturbation: what is heard faster and slower, and who learns from it."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from emopipe.audio.batches import Collate, items
from emopipe.audio.fitting import fit
from emopipe.audio.prediction import predict
from emopipe.backbones.loading import load
from emopipe.encoding import store
from emopipe.training.devices import set_up
from emopipe.training.tracking import Tracker
from helpers.noises import RUNTIME, encoded, model_settings, train_settings
from helpers.small_demo import SMALL, write_params
from stages import encode

RATE = 16_000


def tone(hertz: float, seconds: float) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE).astype(np.float32)


def test_every_utterance_is_encoded_at_every_speed_within_the_limit(demo, tmp_path, monkeypatch, folders):
    folder = tmp_path / "repository"
    shutil.copytree(demo, folder)
    monkeypatch.chdir(folder)
    backbone = folders("wav2vec2")
    choices = {"encode.speed_perturbation": [0.8, 1.25], "encode.max_seconds": 1.0, "model.backbone": str(backbone)}
    write_params(folder, SMALL | choices)
    manifest = pd.read_csv("data/audio/manifest.csv")
    for path, seconds in zip(manifest["path"], (0.5, 0.9, *[0.6] * len(manifest)), strict=False):
        soundfile.write(Path("data/audio") / path, tone(1_000, seconds), RATE, subtype="PCM_16")
    encode.main()
    opened = store.Store()
    assert opened.speeds == [1.0, 0.8, 1.25]
    assert Counter(opened.index["utterance"]) == dict.fromkeys(manifest["utterance"], 3)
    whole, alone = load(str(backbone)), {0.8: (800, 0.625, 1.0), 1.0: (1_000, 0.5, 0.9), 1.25: (1_250, 0.4, 0.72)}
    for speed, (hertz, *seconds) in alone.items():
        for name, length in zip(manifest["utterance"], seconds, strict=False):
            frames, statistics = whole.encode([torch.from_numpy(tone(hertz, length))], 1)[0]
            assert opened.length(name, speed) == len(frames)  # 0.9 s at 0.8 are 1.125 s, of which one is heard
            found, expected = opened.statistics(name, speed)[0, -1], statistics[0, -1].numpy()
            assert np.corrcoef(found, expected)[0, 1] > 0.99, speed


@pytest.fixture
def data(tmp_path: Path, folders):
    """Return a function from what is added to the sets' statistics at another speed to a store, and its split."""
    folder = folders("whisper")
    opened, rows = encoded(folder, tmp_path)
    sets = rows.set_index("utterance")["split"]

    def perturbed(**added: float) -> tuple[store.Store, pd.DataFrame, Path]:
        def encodings():
            for one in opened:
                yield one
                yield one._replace(speed=0.9, statistics=one.statistics + added.get(sets[one.utterance], 0.0))

        where = tmp_path / "_".join(f"{name}{value}" for name, value in added.items())
        store.write(where, encodings(), opened.dim, opened.layers, opened.encoding)
        return store.Store(where), rows, folder

    return perturbed


def weights(made, where: Path, **training: object) -> torch.Tensor:
    opened, rows, folder = made
    settings, device = model_settings(folder, features="frozen"), set_up(RUNTIME, 1)
    train, dev, test = (rows[rows["split"] == name] for name in ("train", "dev", "test"))
    how = train_settings(**({"epochs": 2, "refit": "none"} | training))
    with contextlib.redirect_stdout(None):
        model = fit(train, dev, settings, how, opened, device, Tracker("test"), where).model
    return predict(model, settings, test["utterance"], opened, device)


def test_training_utterances_alone_are_learnt_from_at_other_speeds(data, tmp_path):
    plain = weights(data(), tmp_path / "plain")
    same = weights(data(dev=1.0, test=2.0), tmp_path / "same")
    np.testing.assert_array_equal(plain, same)  # dev picks the epoch, test is predicted, both as spoken
    assert np.abs(plain - weights(data(train=1.0), tmp_path / "other")).max() > 1e-3


def test_a_refit_learns_from_dev_at_other_speeds_too(data, tmp_path):
    plain = weights(data(), tmp_path / "plain", refit="all_epochs")
    assert np.abs(plain - weights(data(dev=1.0), tmp_path / "dev", refit="all_epochs")).max() > 1e-3
    np.testing.assert_array_equal(plain, weights(data(test=1.0), tmp_path / "test", refit="all_epochs"))


def test_a_batch_holds_what_was_said_at_that_speed(data):
    opened, rows, folder = data(train=1.0, dev=1.0, test=1.0)
    made = items(rows["utterance"][:2], np.arange(2), opened, opened.speeds)
    assert [(one.utterance, one.speed, one.target) for one in made.examples] == [
        ("c/u0", 1.0, 0), ("c/u1", 1.0, 1), ("c/u0", 0.9, 0), ("c/u1", 0.9, 1),
    ]  # fmt: skip
    statistics = Collate(opened, model_settings(folder))(made.examples)["statistics"]
    torch.testing.assert_close(statistics[2:], statistics[:2] + 1, atol=0.02, rtol=1e-3)
