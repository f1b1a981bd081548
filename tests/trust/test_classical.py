"""eGeMAPS features are those of the package, and the regression is chosen on dev alone."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emopipe.corpora import emodb
from emopipe.io.errors import UserError
from emopipe.trust.classical import FEATURES, STRENGTHS, classical, egemaps
from helpers.partitions import partition, split_audio


def test_features_are_those_of_the_package_and_finite_for_the_shortest_recording():
    opensmile = pytest.importorskip("opensmile")
    waves = [0.1 * np.random.default_rng(0).normal(size=16_000), np.zeros(16_000), np.zeros(1), np.zeros(0)]
    found = egemaps(waves)
    assert found.shape == (4, FEATURES)
    assert np.isfinite(found).all()
    assert (found[2:] == 0).all()
    smile = opensmile.Smile("eGeMAPSv02", "Functionals")
    expected = smile.process_signal(waves[0].astype(np.float32), 16_000)
    assert found[0] == pytest.approx(expected.to_numpy()[0])
    assert egemaps([]).shape == (0, FEATURES)


def test_without_the_package_the_message_names_it_and_its_licence(monkeypatch):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(UserError, match=r"not for commercial.*pip install opensmile"):
        egemaps([np.zeros(16_000)])


def table(seed=0):
    generator = np.random.default_rng(seed)
    who = np.arange(240) // 12
    rows = pd.DataFrame(
        {
            "speaker": [f"c/s{i:02}" for i in who],
            "emotion": generator.choice(["a", "b", "c"], 240),
            "split": np.choose(who % 5, ["train", "train", "train", "dev", "test"]),
        }
    )
    features = generator.normal(size=(240, 30))
    features[:, 0] += 2 * (rows["emotion"] == "b")
    features[:, 1] += 2 * (rows["emotion"] == "c")
    return features, rows


def test_dev_alone_chooses_and_train_and_dev_are_learned_from():
    features, rows = table()
    found = classical(features, rows)
    assert found.uar.value > 0.6
    assert found.uar.low < found.uar.value < found.uar.high
    learned = (rows["split"] != "test").to_numpy()
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=found.strength, class_weight="balanced", max_iter=5000)
    )
    expected = model.fit(features[learned], rows["emotion"][learned]).predict(features[~learned])
    assert (found.prediction == expected).all()
    assert found.strength in STRENGTHS
    shuffled = rows.copy()
    shuffled.loc[~learned, "emotion"] = rows.loc[~learned, "emotion"].to_numpy()[::-1]
    again = classical(features, shuffled)
    assert (again.strength, again.dev_uar) == (found.strength, found.dev_uar)
    assert (again.prediction == found.prediction).all()


@pytest.mark.slow
def test_the_baseline_on_emodb_is_far_above_chance(shared):
    pytest.importorskip("opensmile")
    manifest = emodb.read(shared("data/emodb")).assign(session="", sha256=lambda rows: rows["utterance"])
    rows = split_audio(manifest, partition(seed=42), ["anger", "happiness", "neutral", "sadness"], {})
    paths = manifest.set_index("utterance")["path"]
    features = egemaps(soundfile.read(paths[name], dtype="float32")[0] for name in rows["utterance"])
    assert classical(features, rows).uar.value > 0.7
