"""Conditions, such as another speed: which examples are trained on under them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from emopipe.audio.batches import Collate, examples
from emopipe.audio.fitting import fit
from emopipe.audio.prediction import predict
from emopipe.encoding import store
from emopipe.training.devices import set_up
from emopipe.training.fitting import Run
from emopipe.training.tracking import Tracker
from helpers.noises import RUNTIME, encoded, model_settings, train_settings

FASTER = "speed=0.9"


@pytest.fixture
def data(tmp_path: Path, folders):
    """Return a function from what is added to the sets' statistics at another speed to a store, and its split."""
    folder = folders("whisper")
    opened, rows = encoded(folder, tmp_path)
    sets = rows.set_index("utterance")["split"]

    def perturbed(**added: float) -> tuple[store.Store, pd.DataFrame, Path]:
        def encodings():
            for one in opened.encodings():
                yield one
                yield one._replace(condition=FASTER, statistics=one.statistics + added.get(sets[one.utterance], 0.0))

        where = tmp_path / "_".join(f"{name}{value}" for name, value in added.items())
        store.write(where, encodings(), opened.dim, opened.layers, opened.provenance)
        return store.Store(where), rows, folder

    return perturbed


def outputs(made, where: Path, **training: object) -> np.ndarray:
    """Return the outputs for the test set of a model that is trained on the others."""
    opened, rows, folder = made
    settings, device = model_settings(folder, features="frozen"), set_up(RUNTIME, 1)
    train, dev, test = (rows[rows["split"] == name] for name in ("train", "dev", "test"))
    optimisation = train_settings(**({"epochs": 2, "refit": "none"} | training))
    with contextlib.redirect_stdout(None):
        model = fit(train, dev, settings, optimisation, opened, Run(device, Tracker("test"), where)).model
    return predict(model, settings, test["utterance"], opened, device)


def test_training_utterances_alone_are_trained_on_at_other_speeds(data, tmp_path):
    plain = outputs(data(), tmp_path / "plain")
    same = outputs(data(dev=1.0, test=2.0), tmp_path / "same")
    np.testing.assert_array_equal(plain, same)  # dev picks the epoch, test is predicted, both as spoken
    assert np.abs(plain - outputs(data(train=1.0), tmp_path / "other")).max() > 1e-3


def test_a_refit_trains_on_dev_at_other_speeds_too(data, tmp_path):
    plain = outputs(data(), tmp_path / "plain", refit="all_epochs")
    assert np.abs(plain - outputs(data(dev=1.0), tmp_path / "dev", refit="all_epochs")).max() > 1e-3
    np.testing.assert_array_equal(plain, outputs(data(test=1.0), tmp_path / "test", refit="all_epochs"))


def test_a_batch_holds_the_encoding_under_its_condition(data):
    opened, rows, folder = data(train=1.0, dev=1.0, test=1.0)
    settings = model_settings(folder)
    made = examples(rows["utterance"][:2], np.arange(2), opened, opened.conditions).examples
    assert [(*opened.index.loc[one.row, ["utterance", "condition"]], one.target) for one in made] == [
        ("c/u0", "original", 0), ("c/u1", "original", 1), ("c/u0", FASTER, 0), ("c/u1", FASTER, 1),
    ]  # fmt: skip
    statistics = Collate(opened, settings)(made)["statistics"]
    torch.testing.assert_close(statistics[2:], statistics[:2] + 1, atol=0.02, rtol=1e-3)
