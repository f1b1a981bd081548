"""Members of a model: trained apart, averaged, saved and calibrated together."""

from __future__ import annotations

import numpy as np
import pytest

from emopipe.audio import saving
from emopipe.audio.fitting import fit
from emopipe.audio.prediction import predict
from emopipe.scoring.calibration import fit_temperature
from emopipe.text import saving as text_model
from emopipe.text.prediction import predict as predict_vad
from emopipe.training.device import set_up
from emopipe.training.network import count_trainable_parameters
from emopipe.training.tracking import Tracker
from helpers.noises import RUNTIME, encoded, model_settings, train_settings
from helpers.tiny_text import CPU, fitted, sentences


@pytest.fixture
def data(tmp_path, folder):
    """Return a store of loud and soft noise, and its split."""
    return encoded(folder, tmp_path)


def test_members_of_an_audio_model_are_what_their_seeds_train_and_are_averaged(data, folder, tmp_path):
    opened, rows = data
    train, dev, test = (rows[rows["split"] == name] for name in ("train", "dev", "test"))

    def fitted(members: int, seed: int):
        settings = model_settings(folder, members=members, features="frozen")
        training = train_settings(epochs=3, seed=seed, refit="best_epoch")
        where = tmp_path / f"{members}-{seed}"
        found = fit(train, dev, settings, training, opened, set_up(RUNTIME, 1), Tracker("test"), where)
        said = [predict(found.model, settings, part["utterance"], opened, set_up(RUNTIME, 1)) for part in (dev, test)]
        return found, *said

    alone = [fitted(1, seed) for seed in (5, 6, 7)]
    together, _, said = fitted(3, 5)
    np.testing.assert_allclose(said, np.mean([one[2] for one in alone], axis=0), atol=1e-6)
    assert together.epochs == [one[0].epochs[0] for one in alone]
    assert count_trainable_parameters(together.model) == 3 * count_trainable_parameters(alone[0][0].model)
    assert np.abs(alone[0][2] - alone[1][2]).max() > 0.01
    saving.save(together, tmp_path / "model")
    again = saving.load(tmp_path / "model")
    restored = predict(again.model, again.settings, test["utterance"], opened, set_up(RUNTIME, 1))
    np.testing.assert_array_equal(restored, said)


def test_the_temperature_is_that_of_all_members_before_they_learnt_from_dev(data, folder, tmp_path):
    opened, rows = data
    train, dev = (rows[rows["split"] == name] for name in ("train", "dev"))
    rows.loc[dev.index[:2], "emotion"] = rows.loc[dev.index[:2], "emotion"].map({"low": "high", "high": "low"})
    dev = rows.loc[dev.index]  # with two mistakes: else the best temperature is none

    def fitted(refit: object):
        settings, training = (
            model_settings(folder, ensemble_size=2, features="frozen"),
            train_settings(epochs=3, refit=refit),
        )
        where = tmp_path / str(refit)
        found = fit(train, dev, settings, training, opened, set_up(RUNTIME, 1), Tracker("test"), where)
        said = predict(found.model, settings, dev["utterance"], opened, set_up(RUNTIME, 1))
        return found, fit_temperature(said, found.task.targets(dev))

    (kept, own), (refitted, other) = fitted(False), fitted("all")
    assert kept.temperature == refitted.temperature == pytest.approx(own, rel=1e-4)
    assert other != pytest.approx(own, rel=1e-2)


@pytest.mark.parametrize("refit", [False, "all"])
def test_members_of_a_regressor_are_what_their_seeds_train_and_are_averaged(tiny, tmp_path, refit):
    texts = list(sentences(10, 2)["transcript"])
    seeds = (2**32 - 2, 2**32 - 1, 0)
    alone = [fitted(tiny, tmp_path / str(seed), seed=seed, refit=refit) for seed in seeds]
    together, tracker = fitted(tiny, tmp_path / "all", seed=seeds[0], ensemble_size=3, refit=refit)
    said = [predict_vad(trained, texts, CPU) for trained, _ in alone]
    found = predict_vad(together, texts, CPU)
    np.testing.assert_allclose(found, np.mean(said, axis=0), atol=1e-6)
    assert np.abs(said[0] - said[1]).max() > 0.01
    assert together.epochs == [trained.epochs[0] for trained, _ in alone]
    assert tracker.history == alone[0][1].history
    text_model.save(together, tmp_path / "model")
    np.testing.assert_array_equal(predict_vad(text_model.load(tmp_path / "model"), texts, CPU), found)
