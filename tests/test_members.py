"""Members of an audio model: trained apart, averaged, saved and calibrated together."""

from __future__ import annotations

import numpy as np
import pytest

from noises import RUNTIME, encoded, model_settings, train_settings
from stages.audio import saving
from stages.audio.fitting import fit, predict
from stages.scoring.calibration import fit_temperature
from stages.training.device import prepare
from stages.training.tracking import Tracker


@pytest.fixture
def data(tmp_path, folder):
    """Return a store of loud and soft noise, and its split."""
    return encoded(folder, tmp_path)


def test_members_are_what_their_seeds_train_and_are_averaged(data, folder, tmp_path):
    opened, rows = data
    train, dev, test = (rows[rows["split"] == name] for name in ("train", "dev", "test"))

    def fitted(members: int, seed: int):
        settings = model_settings(folder, members=members, features="layers")
        training = train_settings(epochs=3, seed=seed, refit=True)
        where = tmp_path / f"{members}-{seed}"
        found = fit(train, dev, settings, training, opened, prepare(RUNTIME, 1), Tracker("test"), where)
        said = [
            predict(found.trained.model, settings, part["utterance"], opened, prepare(RUNTIME, 1))
            for part in (dev, test)
        ]
        return found, *said

    alone = [fitted(1, seed) for seed in (5, 6, 7)]
    together, _, said = fitted(3, 5)
    np.testing.assert_allclose(said, np.mean([one[2] for one in alone], axis=0), atol=1e-6)
    assert together.epochs == [one[0].epochs[0] for one in alone]
    assert together.parameters == 3 * alone[0][0].parameters
    assert np.abs(alone[0][2] - alone[1][2]).max() > 0.01
    saving.save(together.trained, {}, tmp_path / "model")
    again = saving.load(tmp_path / "model")
    restored = predict(again.model, again.settings, test["utterance"], opened, prepare(RUNTIME, 1))
    np.testing.assert_array_equal(restored, said)


def test_the_temperature_is_that_of_all_members_before_they_learnt_from_dev(data, folder, tmp_path):
    opened, rows = data
    train, dev = (rows[rows["split"] == name] for name in ("train", "dev"))
    rows.loc[dev.index[:2], "emotion"] = rows.loc[dev.index[:2], "emotion"].map({"low": "high", "high": "low"})
    dev = rows.loc[dev.index]  # with two mistakes: else the best temperature is none

    def fitted(refit: object):
        settings, training = model_settings(folder, members=2, features="layers"), train_settings(epochs=3, refit=refit)
        where = tmp_path / str(refit)
        found = fit(train, dev, settings, training, opened, prepare(RUNTIME, 1), Tracker("test"), where)
        said = predict(found.trained.model, settings, dev["utterance"], opened, prepare(RUNTIME, 1))
        return found.trained, fit_temperature(said, found.trained.task.targets(dev))

    (kept, own), (refitted, other) = fitted(False), fitted("all")
    assert kept.temperature == refitted.temperature == pytest.approx(own, rel=1e-4)
    assert other != pytest.approx(own, rel=1e-2)
