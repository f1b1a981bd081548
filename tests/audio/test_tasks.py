"""The two tasks of the audio branch: their targets, how they are scored, and what is kept of them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from emopipe.audio.parameters import Model, Train
from emopipe.audio.tasks import Classification, Regression, restore, task_of
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.scoring.regression import concordance_cc
from helpers.paths import ROOT

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
SUBSETS = [["valence"], ["dominance", "arousal"], list(DIMENSIONS)]


def model(**changes):
    return Model(**(PARAMS["model"] | changes))


def rows(count=40, seed=0, spread=1.0):
    generator = np.random.default_rng(seed)
    number = np.arange(count)
    return pd.DataFrame(
        {"utterance": [f"c/u{i}" for i in number], "corpus": "c", "speaker": [f"c/s{i % 4}" for i in number], "sex": "",
         "language": "en", "split": "test", "emotion": np.where(number % 3, "fear", "anger")}
        | {name: 3 + spread * generator.uniform(-1, 1, count) for name in DIMENSIONS}
    )  # fmt: skip


def test_classes_are_numbered_in_the_order_of_the_alphabet():
    task = task_of(model(task="classification"), rows())
    assert task.config() == {"labels": ["anger", "fear"]}
    assert (task.outputs, task.metric) == (2, "uar")
    targets = task.targets(rows(4))
    assert targets.tolist() == [0, 1, 1, 0]
    assert targets.dtype == np.int64
    outputs = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 1.0], [5.0, 0.0]])
    assert task.scores(outputs, targets)["uar"] == 0.75
    assert task.scores(outputs, targets).keys() == {"accuracy", "uar", "macro_f1", "weighted_f1"}


@pytest.mark.parametrize("names", SUBSETS, ids=",".join)
def test_targets_are_standardised_on_what_was_trained_on_alone(names):
    train, other = rows(), rows(seed=1, spread=2)
    task = task_of(model(task="regression", targets=names), train)
    assert (task.outputs, task.metric) == (len(names), "ccc")
    targets = task.targets(train)
    assert targets.dtype == np.float32
    np.testing.assert_allclose(targets.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(targets.std(0), 1, atol=1e-5)
    np.testing.assert_allclose(task.scale.inverse_transform(task.targets(other)), other[names], atol=1e-5)
    assert task.targets(other).std(0).min() > 1.5


@pytest.mark.parametrize("names", SUBSETS, ids=",".join)
def test_dev_scores_are_means_on_the_scale_of_one_to_five(names):
    train = rows()
    task = task_of(model(task="regression", targets=names), train)
    outputs = np.random.default_rng(2).normal(size=(40, len(names))).astype(np.float32)
    found = task.scores(outputs, task.targets(train))
    gold, predicted = train[names].to_numpy(), task.scale.inverse_transform(outputs)
    assert found["ccc"] == pytest.approx(
        np.mean([concordance_cc(g, p) for g, p in zip(gold.T, predicted.T, strict=True)])
    )
    assert found["mse"] == pytest.approx(((gold - predicted) ** 2).mean(), rel=1e-5)
    assert found["rmse"] == pytest.approx(found["mse"] ** 0.5)
    assert found.keys() == {"mse", "rmse", "mae", "ccc", "pcc", "r2"}


@pytest.mark.parametrize("loss", ["ccc", "pcc", "mse", "mae", "mse_ccc"])
def test_the_loss_is_that_of_the_parameters(loss):
    train = rows()
    task = task_of(model(task="regression"), train)
    targets = torch.from_numpy(task.targets(train))
    settings = Train(**(PARAMS["train"] | {"loss": PARAMS["train"]["loss"] | {"regression": loss}}))
    objective = task.loss(settings, targets.numpy())
    assert objective(targets, targets).item() == pytest.approx(0, abs=1e-5)
    moved = {"ccc": 1 - 2 / (2 + 0.25), "pcc": 0, "mse": 0.25, "mae": 0.5}
    moved = (moved | {"mse_ccc": moved["mse"] + moved["ccc"]})[loss]
    assert objective(targets + 0.5, targets).item() == pytest.approx(moved, abs=1e-5)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_a_task_is_restored_from_its_configuration(task):
    settings = model(task=task, targets=["dominance", "valence"])
    made = task_of(settings, rows())
    again = restore(settings, json.loads(json.dumps(made.config())))
    assert isinstance(again, Regression if task == "regression" else Classification)
    assert again.config() == made.config()
    np.testing.assert_array_equal(again.targets(rows(seed=3)), made.targets(rows(seed=3)))
