"""Valence, arousal and dominance of the test set beside their baselines: scores, tests, and what is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from emopipe.schemas import predictions
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import Evaluation
from emopipe.text import nli, vad
from emopipe.text.evaluation import evaluate
from emopipe.text.parameters import Baselines
from emopipe.text.saving import Trained
from helpers.mnli import HYPOTHESES, written
from helpers.tiny_text import CPU, PARAMS, fitted, sentences

VAD = list(DIMENSIONS)


def settings(**changes: object) -> Baselines:
    return Baselines.model_validate(yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["evaluate"] | changes)


def half_rated(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave the ratings of every third utterance out."""
    return rows.assign(**{name: rows[name].mask(np.arange(len(rows)) % 3 == 0) for name in VAD})


@pytest.fixture
def trained(tiny: Path, tmp_path: Path) -> Trained:
    return fitted(tiny, tmp_path, epochs=1)[0]


@pytest.fixture
def rows() -> pd.DataFrame:
    return half_rated(sentences(90, 4))


@pytest.fixture
def found(trained: Trained, rows: pd.DataFrame, tmp_path: Path) -> Evaluation:
    return evaluate(trained, None, rows, False, settings(nli=str(written(tmp_path / "mnli", "bert"))), CPU)


def gold(rows: pd.DataFrame, split: str) -> np.ndarray:
    return rows.loc[rows["split"] == split, VAD].dropna().to_numpy()


def test_the_mean_predictor_is_scikit_learns(found: Evaluation, rows: pd.DataFrame):
    train, test = gold(rows, "train"), gold(rows, "test")
    said = DummyRegressor(strategy="mean").fit(np.zeros((len(train), 1)), train).predict(np.zeros((len(test), 1)))
    scores = found.scores["mean_predictor"]["vad"]
    assert scores.keys() == {"mse", "rmse", "mae", "ccc", "r2"}
    for name, score in (("mse", mean_squared_error), ("mae", mean_absolute_error), ("r2", r2_score)):
        expected = score(test, said, multioutput="raw_values")
        assert [scores[name][dimension] for dimension in VAD] == pytest.approx(list(expected))
        assert scores[name]["mean"] == pytest.approx(expected.mean())
    assert scores["ccc"] == pytest.approx(dict.fromkeys((*VAD, "mean"), 0), abs=1e-12)


def test_nli_is_scored_raw_and_after_a_line_fitted_on_train(found: Evaluation, rows: pd.DataFrame, tmp_path: Path):
    model = nli.load(str(tmp_path / "mnli"))
    test, known = (rows[rows["split"] == name] for name in ("test", "train"))
    known = known.dropna()
    raw = nli.ratings(test["transcript"], model, HYPOTHESES, CPU)
    learnt = nli.ratings(known["transcript"], model, HYPOTHESES, CPU)
    rated = test["valence"].notna().to_numpy()
    for i, name in enumerate(VAD):
        line = LinearRegression().fit(learnt[:, [i]], known[name])
        expected = line.predict(raw[:, [i]])
        np.testing.assert_allclose(found.table[f"{name}_nli"], expected, atol=1e-6)
        truth = test[name].to_numpy()[rated]
        for kind, said in (("zero_shot_nli", expected), ("zero_shot_nli_uncalibrated", raw[:, i])):
            assert found.scores[kind]["vad"]["mse"][name] == pytest.approx(np.mean((truth - said[rated]) ** 2))
    assert found.details["nli"] == model.origin.provenance()


def test_fine_tuned_is_tested_against_each_baseline_per_dimension(found: Evaluation):
    tests = found.details["vad"]["tests"]
    assert tests.keys() == {"zero_shot", "zero_shot_nli", "mean_predictor"}
    for baseline, differences in tests.items():
        own, other = (found.scores[kind]["vad"] for kind in ("fine_tuned", baseline))
        for score in ("mse", "rmse", "mae", "ccc", "r2"):
            for name in (*VAD, "mean"):
                expected = own[score][name] - other[score][name]
                assert differences[f"{score}.{name}"]["difference"] == pytest.approx(expected, abs=1e-9)


def test_a_calibration_reads_a_thousand_training_utterances_at_most(rows: pd.DataFrame, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(vad, "ENOUGH", 7)
    train, test = (rows[rows["split"] == name].reset_index(drop=True) for name in ("train", "test"))
    folder = str(written(tmp_path / "mnli"))
    raw, calibrated, _ = vad.entailed(train, test, folder, HYPOTHESES, CPU)
    known = train.dropna()
    some = known.iloc[np.linspace(0, len(known) - 1, 7).round().astype(int)]
    learnt = nli.ratings(some["transcript"], nli.load(folder), HYPOTHESES, CPU)
    line = LinearRegression().fit(learnt[:, [0]], some["valence"])
    np.testing.assert_allclose(calibrated[:, 0], line.predict(raw[:, [0]]), atol=1e-5)


def test_the_predictions_are_read_as_they_were_written(found: Evaluation, tmp_path: Path):
    predictions.write(found.table, tmp_path / "text.csv")
    again = predictions.read_text(tmp_path / "text.csv")
    np.testing.assert_array_equal(again[[f"{name}_nli" for name in VAD]], found.table[[f"{name}_nli" for name in VAD]])
    json.dumps({"scores": found.scores, "details": found.details}, allow_nan=False)


def test_without_a_model_there_is_no_nli(trained: Trained, rows: pd.DataFrame):
    found = evaluate(trained, None, rows, False, settings(), CPU)
    assert not [name for name in (*found.table, *found.scores, *found.details) if "nli" in name]
    assert found.details["vad"]["tests"].keys() == {"zero_shot", "mean_predictor"}


def test_a_test_set_without_ratings_has_no_scores_of_them(trained: Trained, rows: pd.DataFrame, tmp_path: Path):
    rows.loc[rows["split"] == "test", VAD] = np.nan
    found = evaluate(trained, None, rows, False, settings(nli=str(written(tmp_path / "mnli"))), CPU)
    assert found.scores["mean_predictor"] == found.scores["zero_shot_nli"] == {}
    assert found.table["valence_nli"].notna().all()
