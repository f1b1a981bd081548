"""Ensembles: members are trained apart, averaged, saved and calibrated together."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from emopipe.audio import saving
from emopipe.audio.fitting import fit
from emopipe.audio.prediction import predict
from emopipe.scoring.calibration import fit_temperature
from emopipe.text import saving as text_model
from emopipe.text.prediction import predict as predict_vad
from emopipe.training import fitting, trainer
from emopipe.training.devices import set_up
from emopipe.training.fitting import Run
from emopipe.training.networks import count_trainable_parameters
from emopipe.training.tracking import Tracker
from helpers.noises import RUNTIME, encoded, model_settings, train_settings
from helpers.paths import ROOT
from helpers.tiny_text import CPU, fitted, sentences


@pytest.fixture
def data(tmp_path, folder):
    """Return a store of loud and soft noise, and its split."""
    return encoded(folder, tmp_path)


def test_members_of_an_audio_model_are_what_their_seeds_train_and_are_averaged(data, folder, tmp_path):
    opened, rows = data
    train, dev, test = (rows[rows["split"] == name] for name in ("train", "dev", "test"))

    def fitted(size: int, seed: int):
        settings = model_settings(folder, ensemble_size=size, features="frozen")
        training = train_settings(epochs=3, seed=seed, refit="best_epoch")
        where = tmp_path / f"{size}-{seed}"
        found = fit(train, dev, settings, training, opened, Run(set_up(RUNTIME, 1), Tracker("test"), where))
        outputs = [
            predict(found.model, settings, part["utterance"], opened, set_up(RUNTIME, 1)) for part in (dev, test)
        ]
        return found, *outputs

    alone = [fitted(1, seed) for seed in (5, 6, 7)]
    together, _, outputs = fitted(3, 5)
    np.testing.assert_allclose(outputs, np.mean([one[2] for one in alone], axis=0), atol=1e-6)
    assert together.epochs == [one[0].epochs[0] for one in alone]
    assert count_trainable_parameters(together.model) == 3 * count_trainable_parameters(alone[0][0].model)
    assert np.abs(alone[0][2] - alone[1][2]).max() > 0.01
    saving.save(together, tmp_path / "model")
    again = saving.load(tmp_path / "model")
    restored = predict(again.model, again.settings, test["utterance"], opened, set_up(RUNTIME, 1))
    np.testing.assert_array_equal(restored, outputs)


def test_the_temperature_is_that_of_members_that_were_not_trained_on_dev(data, folder, tmp_path, monkeypatch):
    opened, rows = data
    train, dev = (rows[rows["split"] == name] for name in ("train", "dev"))
    rows.loc[dev.index[:2], "emotion"] = rows.loc[dev.index[:2], "emotion"].map({"low": "high", "high": "low"})
    dev = rows.loc[dev.index]  # with two mistakes: else the best temperature is none

    def fitted(refit: str, ensemble_size: int = 2):
        settings = model_settings(folder, ensemble_size=ensemble_size, features="frozen")
        training, where = train_settings(epochs=3, refit=refit), tmp_path / f"{refit}-{ensemble_size}"
        found = fit(train, dev, settings, training, opened, Run(set_up(RUNTIME, 1), Tracker("test"), where))
        outputs = predict(found.model, settings, dev["utterance"], opened, set_up(RUNTIME, 1))
        return found, fit_temperature(outputs, found.task.targets(dev))

    (kept, own), (best, other) = fitted("none"), fitted("best_epoch")
    assert kept.temperature == best.temperature == pytest.approx(own, rel=1e-4)
    assert other != pytest.approx(own, rel=1e-2)
    first, _ = fitted("none", ensemble_size=1)
    everything, _ = fitted("all_epochs")
    assert first.epochs[0] < 3 and everything.epochs == [3, 3]  # dev selects nothing
    for module in fitting, trainer:
        monkeypatch.setattr(module, "best_epoch", lambda history, _: len(history) - 1)
    shutil.rmtree(tmp_path / "none-1")
    last, _ = fitted("none", ensemble_size=1)
    assert last.epochs == [3] and last.temperature != first.temperature
    assert everything.temperature == last.temperature  # the others were not trained without dev


@pytest.mark.parametrize("refit", ["none", "all_epochs"])
def test_members_of_a_regressor_are_what_their_seeds_train_and_are_averaged(tiny, tmp_path, refit):
    texts = list(sentences(10, 2)["transcript"])
    seeds = (2**32 - 2, 2**32 - 1, 0)
    alone = [fitted(tiny, tmp_path / str(seed), seed=seed, refit=refit) for seed in seeds]
    together, tracker = fitted(tiny, tmp_path / "all", seed=seeds[0], ensemble_size=3, refit=refit)
    outputs = [predict_vad(trained, texts, CPU) for trained, _ in alone]
    found = predict_vad(together, texts, CPU)
    np.testing.assert_allclose(found, np.mean(outputs, axis=0), atol=1e-6)
    assert np.abs(outputs[0] - outputs[1]).max() > 0.01
    assert together.epochs == [trained.epochs[0] for trained, _ in alone]
    assert tracker.history == alone[0][1].history
    text_model.save(together, tmp_path / "model")
    np.testing.assert_array_equal(predict_vad(text_model.load(tmp_path / "model"), texts, CPU), found)


PROGRAM = """
import sys
from pathlib import Path
from emopipe.training.fitting import train_ensemble
from helpers.tiny_training import examples, recipe, run, training_data
from safetensors.torch import save_file

folder, processes = Path(sys.argv[1]), int(sys.argv[2])
data, dev = training_data(examples(60, 1)), examples(30, 2)
own = run(folder / "checkpoints", processes=processes)
found = train_ensemble(recipe(refit=sys.argv[3]), [data] * 3, dev, [data] * 3, own)
save_file(found.model.state_dict(), folder / "model.safetensors")
print(found.epochs, len(own.tracker.history))
"""


@pytest.mark.parametrize("refit", ["all_epochs", pytest.param("best_epoch", marks=pytest.mark.slow)])
def test_members_that_are_trained_side_by_side_are_those_of_one_after_the_other(tmp_path, refit):
    said = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        command = [sys.executable, "-c", PROGRAM, str(folder), str(processes), refit]
        environment = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        said.append(done.stdout.splitlines()[-1])
    assert said[0] == said[1]
    one, two = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("1", "2"))
    assert one == two
