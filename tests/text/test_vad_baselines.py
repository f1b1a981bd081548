"""The test set's valence, arousal and dominance as the text branch predicts them: trained, zero-shot, and by NLI."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.linear_model import LinearRegression

from emopipe.schemas import predictions, tables
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import predicted_vad
from emopipe.schemas.splits import TEXT, TextItem, rated
from emopipe.schemas.vad import PredictedVad
from emopipe.text import encoders, held_out, nli, saving
from emopipe.text.held_out import Predicted, predict_test_set
from emopipe.text.parameters import Baselines
from emopipe.text.prediction import predict
from emopipe.text.saving import Trained
from emopipe.text.zero_shot import anchors
from helpers.mnli import HYPOTHESES, written
from helpers.tiny_text import CPU, PARAMS, fitted, sentences
from stages import predict_text

VAD = list(DIMENSIONS)
PARAMETERS = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))


def settings(**changes: object) -> Baselines:
    values = PARAMETERS["evaluate"] | changes
    return Baselines.model_validate({name: values[name] for name in Baselines.model_fields})


def half_rated(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave the ratings of every third utterance out, and some emotions."""
    number = np.arange(len(rows))
    rows = rows.assign(**{name: rows[name].mask(number % 3 == 0) for name in VAD})
    return rows.assign(emotion=rows["emotion"].mask(number % 7 == 1, ""))


@pytest.fixture
def trained(tiny: Path, tmp_path: Path) -> Trained:
    return fitted(tiny, tmp_path, epochs=1)[0]


@pytest.fixture
def rows() -> pd.DataFrame:
    return half_rated(sentences(90, 4))


@pytest.fixture
def found(trained: Trained, rows: pd.DataFrame, tmp_path: Path) -> Predicted:
    return predict_test_set(trained, rows, settings(nli=str(written(tmp_path / "mnli", "bert"))), CPU)


def of(found: Predicted, model: str) -> np.ndarray:
    return predicted_vad(found.vad, "text", model)[VAD].to_numpy()


def sets(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    return tuple(rows[rows["split"] == name] for name in ("train", "test"))


def test_every_model_predicts_every_test_utterance(found: Predicted, rows: pd.DataFrame, trained: Trained):
    _, test = sets(rows)
    names = ["trained", "zero_shot", "zero_shot_uncalibrated", "nli", "nli_uncalibrated"]
    assert list(found.vad["model"].unique()) == names
    for model in names:
        table = found.vad[found.vad["model"] == model]
        assert list(table["utterance"]) == list(test["utterance"].repeat(3))
        np.testing.assert_array_equal(table["truth"].to_numpy().reshape(-1, 3), test[VAD])
        assert table["prediction"].notna().all()
    assert found.vad["truth"].isna().any()
    np.testing.assert_array_equal(of(found, "trained"), predict(trained, test["transcript"], CPU).astype(np.float64))


def test_zero_shot_vad_is_calibrated_by_a_line_fitted_on_train(found: Predicted, rows: pd.DataFrame, trained: Trained):
    train, test = sets(rows)
    known, named = rated(train), train[train["emotion"] != ""]
    pretrained = encoders.reload_verified(trained.origin)
    raw = {
        name: anchors(part["transcript"], pretrained, settings().anchors, trained.settings, CPU)
        for name, part in (("known", known), ("test", test), ("named", named))
    }
    np.testing.assert_allclose(of(found, "zero_shot_uncalibrated"), raw["test"], atol=1e-5)
    assert list(found.training) == list(PredictedVad.model_fields)
    assert list(found.training["utterance"]) == list(named["utterance"])
    assert list(found.training["emotion"]) == list(named["emotion"])
    for i, name in enumerate(VAD):
        line = LinearRegression().fit(raw["known"][:, [i]], known[name])
        np.testing.assert_allclose(of(found, "zero_shot")[:, i], line.predict(raw["test"][:, [i]]), atol=1e-4)
        np.testing.assert_allclose(found.training[name], line.predict(raw["named"][:, [i]]), atol=1e-4)


def test_nli_stands_raw_and_after_a_line_fitted_on_train(found: Predicted, rows: pd.DataFrame, tmp_path: Path):
    model = nli.load(str(tmp_path / "mnli"))
    train, test = sets(rows)
    known = rated(train)
    raw, own = (nli.ratings(part["transcript"], model, HYPOTHESES, CPU) for part in (test, known))
    np.testing.assert_allclose(of(found, "nli_uncalibrated"), raw, atol=1e-6)
    for i, name in enumerate(VAD):
        line = LinearRegression().fit(own[:, [i]], known[name])
        np.testing.assert_allclose(of(found, "nli")[:, i], line.predict(raw[:, [i]]), atol=1e-6)
    assert found.origins == {"nli": model.origin.provenance()}


def test_no_rating_of_the_test_set_has_a_part_in_a_prediction(
    found: Predicted, rows: pd.DataFrame, trained: Trained, tmp_path: Path
):
    other = rows.copy()
    other.loc[rows["split"] == "test", VAD] = 6 - rows.loc[rows["split"] == "test", VAD]
    other.loc[rows["split"] == "test", "emotion"] = "fear"
    again = predict_test_set(trained, other, settings(nli=str(tmp_path / "mnli")), CPU)
    assert (again.vad["prediction"] == found.vad["prediction"]).all()
    assert not (again.vad["truth"] == found.vad["truth"]).all()
    pd.testing.assert_frame_equal(again.training, found.training)


def test_a_calibration_reads_a_thousand_training_utterances_at_most(
    trained: Trained, rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(held_out, "ENOUGH", 7)
    folder = str(written(tmp_path / "mnli"))
    found = predict_test_set(trained, rows, settings(nli=folder), CPU)
    known = rated(sets(rows)[0])
    some = known.iloc[np.linspace(0, len(known) - 1, 7).round().astype(int)]
    own = nli.ratings(some["transcript"], nli.load(folder), HYPOTHESES, CPU)
    line = LinearRegression().fit(own[:, [0]], some["valence"])
    expected = line.predict(of(found, "nli_uncalibrated")[:, [0]])
    np.testing.assert_allclose(of(found, "nli")[:, 0], expected, atol=1e-5)


def test_without_an_nli_model_there_is_no_nli(trained: Trained, rows: pd.DataFrame):
    found = predict_test_set(trained, rows, settings(), CPU)
    assert set(found.vad["model"]) == {"trained", "zero_shot", "zero_shot_uncalibrated"}
    assert found.origins == {}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    runtime = PARAMETERS["runtime"] | {"threads": 1, "device": "cpu"}
    Path("params.yaml").write_text(yaml.safe_dump(PARAMETERS | {"runtime": runtime}))
    yield tmp_path
    torch.set_deterministic_debug_mode("default")


def written_bytes() -> dict[str, bytes]:
    predict_text.main()
    return {path.name: path.read_bytes() for path in predictions.TEXT.iterdir()}


def test_the_stage_writes_what_is_predicted(
    trained: Trained, rows: pd.DataFrame, project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(saving, "load", lambda: trained)
    tables.write(rows, TEXT, TextItem)
    first = written_bytes()
    assert sorted(first) == ["origins.json", "training.csv", "vad.csv"]
    expected = predict_test_set(trained, rows, settings(), CPU)
    found = predictions.read_vad(predictions.TEXT / "vad.csv")
    pd.testing.assert_frame_equal(found, expected.vad.reset_index(drop=True)[list(found)], check_exact=True)
    training = tables.read(predictions.TRAINING, PredictedVad)
    pd.testing.assert_frame_equal(training, expected.training.reset_index(drop=True), check_exact=True)
    assert json.loads(predictions.ORIGINS.read_text()) == {}
    assert written_bytes() == first


def test_without_text_the_stage_leaves_empty_tables(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(saving, "load", lambda: None)
    tables.write(sentences(5, 1).head(0), TEXT, TextItem)
    predict_text.main()
    assert predictions.read_vad(predictions.TEXT / "vad.csv").empty
    assert tables.read(predictions.TRAINING, PredictedVad).empty
    assert json.loads(predictions.ORIGINS.read_text()) == {}
