"""The test set as the audio branch predicts it: emotions or dimensions, zero-shot beside them, and an embedding."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from scipy.special import softmax
from sklearn.decomposition import PCA
from torch import nn

from emopipe.audio import held_out, saving
from emopipe.audio.held_out import predict_test_set
from emopipe.audio.parameters import Model
from emopipe.audio.tasks import Classification, Regression
from emopipe.encoding import store
from emopipe.schemas import predictions, splits, tables
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.training.networks import Ensemble, TargetScaler
from helpers.paths import ROOT
from stages import predict_audio

CPU = torch.device("cpu")
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
LABELS = ["anger", "calm", "fear"]
TARGETS = ["dominance", "valence"]


@pytest.fixture(autouse=True)
def any_algorithms():
    """Take back what a stage asks of PyTorch."""
    yield
    torch.set_deterministic_debug_mode("default")


class Network(nn.Module):
    """A model of the mean of the last layer."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(4, outputs)

    def embedding(self, statistics: torch.Tensor) -> torch.Tensor:
        return statistics[:, 0, -1]

    def forward(self, statistics: torch.Tensor) -> torch.Tensor:
        return self.head(self.embedding(statistics))


def trained(task: Classification | Regression, outputs: int) -> SimpleNamespace:
    """Return what stands for a trained model."""
    settings = Model(**(PARAMS["model"] | {"features": "frozen"}))
    return SimpleNamespace(model=Ensemble([Network(outputs)]), settings=settings, task=task, temperature=2.5)


CLASSIFIER = trained(Classification(LABELS), 3)
REGRESSOR = trained(Regression(TARGETS, TargetScaler([3.0, 2.5], [0.5, 0.8])), 2)


@pytest.fixture
def rows() -> pd.DataFrame:
    draw = np.random.default_rng(0)
    table = pd.DataFrame({"utterance": [f"c/u{i}" for i in range(30)], "corpus": "c", "session": "", "language": "en"})
    table = table.assign(speaker=[f"c/s{i % 3}" for i in range(30)], sex="male", split=["train", "dev", "test"] * 10)
    table[list(DIMENSIONS)] = draw.uniform(1, 5, (30, 3))
    return tables.check(table.assign(emotion=draw.choice(LABELS, 30)).to_dict("records"), splits.AudioItem, "rows")


@pytest.fixture
def opened(rows: pd.DataFrame, tmp_path: Path) -> store.Store:
    draw = np.random.default_rng(1)
    encodings = (
        store.StoredEncoding(name, store.ORIGINAL, draw.normal(size=(3, 4)), draw.normal(size=(2, 3, 4)))
        for name in rows["utterance"]
    )
    provenance = {"backbone": {"family": "whisper"}, "trainable_layers": 0, "blocks": 2, "dim": 4}
    store.write(tmp_path / "store", encodings, 4, 3, provenance)
    return store.Store(tmp_path / "store")


def means(opened: store.Store, rows: pd.DataFrame) -> np.ndarray:
    return opened.statistics(opened.rows(rows.loc[rows["split"] == "test", "utterance"]))[:, 0, -1]


def outputs(model: Network, opened: store.Store, rows: pd.DataFrame) -> np.ndarray:
    weight, bias = (parameter.detach().numpy() for parameter in model.members[0].head.parameters())
    return means(opened, rows) @ weight.T + bias


@pytest.mark.parametrize("calibrated", [True, False])
def test_emotions_have_the_probabilities_of_the_temperature(rows, opened, calibrated):
    found = predict_test_set(CLASSIFIER, rows, opened, calibrated, CPU)
    chances = softmax(outputs(CLASSIFIER.model, opened, rows) / (2.5 if calibrated else 1), axis=1)
    np.testing.assert_allclose(found.emotion[[f"p_{label}" for label in LABELS]], chances, atol=1e-6)
    assert list(found.emotion["prediction"]) == [LABELS[i] for i in chances.argmax(1)]
    test = rows[rows["split"] == "test"]
    assert list(found.emotion["utterance"]) == list(test["utterance"])
    assert list(found.emotion["truth"]) == list(test["emotion"])
    assert set(found.emotion["model"]) == {"trained"}  # this backbone brings no classifier
    assert found.vad.empty


def test_a_classifier_that_the_backbone_brings_stands_beside_the_trained_one(rows, opened, monkeypatch):
    chances = np.random.default_rng(3).dirichlet(np.ones(3), 10)
    monkeypatch.setattr(held_out, "zero_shot", lambda *_: chances)
    table = predict_test_set(CLASSIFIER, rows, opened, True, CPU).emotion
    assert list(table["model"]) == ["trained"] * 10 + ["zero_shot"] * 10
    own = table[table["model"] == "zero_shot"]
    np.testing.assert_array_equal(own[[f"p_{label}" for label in LABELS]], chances)
    assert list(own["prediction"]) == [LABELS[i] for i in chances.argmax(1)]


def test_dimensions_are_on_the_scale_of_one_to_five(rows, opened):
    found = predict_test_set(REGRESSOR, rows, opened, True, CPU)
    expected = outputs(REGRESSOR.model, opened, rows) * [0.5, 0.8] + [3.0, 2.5]
    assert list(found.vad["dimension"][:4]) == [*TARGETS, *TARGETS]
    np.testing.assert_allclose(found.vad["prediction"].to_numpy().reshape(-1, 2), expected, atol=1e-5)
    np.testing.assert_array_equal(
        found.vad["truth"].to_numpy().reshape(-1, 2), rows.loc[rows["split"] == "test", TARGETS]
    )
    assert found.emotion.empty


def test_the_embedding_is_of_utterances_evenly_chosen(rows, opened, monkeypatch):
    monkeypatch.setattr(held_out, "EMBEDDED", 4)
    found = predict_test_set(CLASSIFIER, rows, opened, True, CPU).embedding
    test = rows[rows["split"] == "test"].reset_index(drop=True)
    assert list(found["utterance"]) == list(test["utterance"][[0, 3, 6, 9]])
    expected = PCA(4, svd_solver="full").fit_transform(means(opened, rows)[[0, 3, 6, 9]].astype(np.float64))
    np.testing.assert_allclose(found.filter(like="component_"), expected, atol=1e-6)


@pytest.mark.parametrize("model", [CLASSIFIER, REGRESSOR, None], ids=["classification", "regression", "no audio"])
def test_the_stage_writes_what_is_predicted(rows, opened, tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    runtime = PARAMS["runtime"] | {"threads": 1, "device": "cpu"}
    Path("params.yaml").write_text(yaml.safe_dump(PARAMS | {"runtime": runtime}))
    monkeypatch.setattr(saving, "load", lambda: model)
    monkeypatch.setattr(predict_audio, "Store", lambda: opened)
    tables.write(rows if model else rows.head(0), splits.AUDIO, splits.AudioItem)
    written = []
    for _ in range(2):
        predict_audio.main()
        written.append({path.name: path.read_bytes() for path in predictions.AUDIO.iterdir()})
    assert written[0] == written[1]
    assert sorted(written[0]) == ["embedding.csv", "emotion.csv", "vad.csv"]
    expected = predict_test_set(model, rows, opened, True, CPU)
    emotion = predictions.read_emotion(predictions.AUDIO / "emotion.csv")
    vad = predictions.read_vad(predictions.AUDIO / "vad.csv")
    for table, own in ((emotion, expected.emotion), (vad, expected.vad)):
        assert len(table) == len(own)
        for column in own:
            assert list(table[column]) == list(own[column])
    assert list(predictions.read_embedding(predictions.AUDIO / "embedding.csv")) == list(expected.embedding)
