"""The stage `evaluate`: from the branches' predictions to scores, without PyTorch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score

from emopipe.forest import saving
from emopipe.io.outputs import write_json, write_text
from emopipe.schemas import dev_answers, predictions, splits, tables
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import EmotionPrediction, VadPrediction, emotion_table, vad_table
from emopipe.schemas.vad import AUDIO_VAD, TEXT_VAD, PredictedVad, as_features, feature_names
from emopipe.scoring.selective import confidence_threshold
from helpers.paths import ROOT
from stages import evaluate

VAD = list(DIMENSIONS)
LABELS = ["anger", "calm", "fear"]
ORIGIN = {"name": "someone/mnli", "sha256": "5" * 64}


def rows() -> pd.DataFrame:
    """Return a split of eight speakers, two of them in the test set."""
    draw, count = np.random.default_rng(0), 96
    table = pd.DataFrame({"utterance": [f"c/u{i}" for i in range(count)], "corpus": "c", "session": ""})
    table = table.assign(speaker=[f"c/s{i // 12}" for i in range(count)], sex="female", language="en")
    table = table.assign(split=np.repeat(["train", "dev", "test"], [60, 12, 24]), emotion=draw.choice(LABELS, count))
    table[VAD] = draw.uniform(1, 5, (count, 3))
    return table.assign(transcript="words")


DEV = dev_answers.DevAnswers(
    np.random.default_rng(3).dirichlet(np.ones(3), 60), np.arange(60) % 3, np.repeat(np.arange(10), 6)
)
ROWS = rows()
TEST, TRAIN = (ROWS[ROWS["split"] == name] for name in ("test", "train"))


def vad_of(part: pd.DataFrame, seed: int, noise: float = 0.5) -> np.ndarray:
    return part[VAD].to_numpy() + noise * np.random.default_rng(seed).normal(size=(len(part), 3))


def training_vad(seed: int) -> pd.DataFrame:
    """Return predicted VAD of training utterances with an emotion."""
    return TRAIN[["utterance", "emotion"]].assign(**dict(zip(VAD, vad_of(TRAIN, seed).T, strict=True)))


def nothing(row: type) -> pd.DataFrame:
    return pd.DataFrame(columns=list(row.model_fields))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with what the stages before leave: audio classifies, and a forest learns from text."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text((ROOT / "params.yaml").read_text())
    tables.write(ROWS[list(splits.AudioItem.model_fields)], splits.AUDIO, splits.AudioItem)
    tables.write(ROWS, splits.TEXT, splits.TextItem)
    chances = np.random.default_rng(1).dirichlet(np.ones(3), len(TEST))
    audio = emotion_table(TEST, "audio", "trained", np.array(LABELS)[chances.argmax(1)], chances, LABELS)
    predictions.write_emotion(audio, predictions.AUDIO / "emotion.csv")
    predictions.write_vad(nothing(VadPrediction), predictions.AUDIO / "vad.csv")
    write_text("utterance,component_1\nc/u95,0.1\n", predictions.AUDIO / "embedding.csv")
    write_json({"temperature": 1.5}, Path("models/audio/config.json"))
    dev_answers.write(DEV, Path("models/audio"))
    text = [
        vad_table(TEST, "text", model, vad_of(TEST, i, i)) for i, model in enumerate(("trained", "zero_shot", "nli"), 1)
    ]
    predictions.write_vad(pd.concat(text), predictions.TEXT / "vad.csv")
    tables.write(training_vad(3), predictions.TRAINING, PredictedVad)
    write_json({"nli": ORIGIN}, predictions.ORIGINS)
    tables.write(nothing(PredictedVad), AUDIO_VAD, PredictedVad)
    tables.write(training_vad(4), TEXT_VAD, PredictedVad)
    saving.save(forest("text"))
    return tmp_path


def forest(*branches: str) -> RandomForestClassifier:
    vad = pd.concat([as_features(vad_of(TRAIN, 4 + (branch == "audio")), branch) for branch in branches], axis=1)
    return RandomForestClassifier(5, random_state=0).fit(vad, TRAIN["emotion"].to_numpy(dtype=str))


def run() -> tuple[dict, dict]:
    evaluate.main()
    return tuple(json.loads(path.read_text()) for path in (evaluate.METRICS, predictions.STATISTICS))


def shape(scores: dict) -> dict:
    return {branch: {target: list(models) for target, models in own.items()} for branch, own in scores.items()}


def test_all_predictions_stand_in_two_tables_and_all_scores_in_one_shape(project: Path):
    scores, statistics = run()
    emotion, vad = predictions.read_emotion(), predictions.read_vad()
    assert shape(scores) == {
        "audio": {"emotion": ["trained", "majority"]},
        "text": {"vad": ["trained", "zero_shot", "nli", "mean"]},
        "forest": {"emotion": ["trained", "zero_shot", "majority"]},
    }
    for (branch, model), own in emotion.groupby(["branch", "model"]):
        found = scores[branch]["emotion"][model]
        assert found["uar"] == pytest.approx(balanced_accuracy_score(own["truth"], own["prediction"]))
        assert ("brier" in found) == (model != "majority")
        assert len(own) == found["utterances"] == 24
    assert list(vad[vad["model"] == "mean"].groupby("dimension")["prediction"].first()[VAD]) == pytest.approx(
        TRAIN[VAD].mean().tolist()
    )
    assert set(emotion.loc[emotion["model"] == "majority", "prediction"]) == {TRAIN["emotion"].mode()[0]}
    assert statistics["audio"]["emotion"]["calibration"]["temperature"] == 1.5
    assert statistics["forest"]["emotion"]["inputs"] == ["text"]
    assert list(statistics["forest"]["emotion"]["importance"]) == feature_names("text")
    assert "calibration" not in statistics["forest"]["emotion"]
    assert statistics["text"]["vad"]["nli"] == ORIGIN
    assert predictions.EMBEDDING.read_bytes() == (predictions.AUDIO / "embedding.csv").read_bytes()


def test_the_zero_shot_forest_is_fitted_on_zero_shot_vad_of_the_training_set(project: Path):
    run()
    table = predictions.read_emotion().query("model == 'zero_shot'")
    own = RandomForestClassifier(5, random_state=0).fit(training_vad(3)[VAD].to_numpy(), TRAIN["emotion"])
    assert list(table["prediction"]) == list(own.predict(vad_of(TEST, 2, 2)))
    parameters = yaml.safe_load(Path("params.yaml").read_text())
    parameters["forest"]["vad"] = "gold"
    Path("params.yaml").write_text(yaml.safe_dump(parameters))
    run()
    table = predictions.read_emotion().query("model == 'zero_shot'")
    assert list(table["prediction"]) == list(forest("text").predict(as_features(vad_of(TEST, 2, 2), "text")))


def test_a_forest_of_both_branches_stands_beside_those_of_one(project: Path):
    predictions.write_emotion(nothing(EmotionPrediction), predictions.AUDIO / "emotion.csv")
    predictions.write_vad(vad_table(TEST, "audio", "trained", vad_of(TEST, 7)), predictions.AUDIO / "vad.csv")
    tables.write(training_vad(5), AUDIO_VAD, PredictedVad)
    saving.save(forest("text", "audio"))
    scores, statistics = run()
    assert shape(scores) == {
        "audio": {"vad": ["trained", "mean"]},
        "text": {"vad": ["trained", "zero_shot", "nli", "mean"]},
        "forest": {"emotion": ["trained", "text_only", "audio_only", "zero_shot", "majority"]},
    }
    assert list(statistics["forest"]["emotion"]["importance"]) == feature_names("text", "audio")
    assert list(statistics["forest"]["emotion"]["tests"]) == ["text_only", "audio_only", "zero_shot", "majority"]


def test_branches_without_utterances_have_no_scores(project: Path):
    for path, row in ((splits.AUDIO, splits.AudioItem), (splits.TEXT, splits.TextItem), (TEXT_VAD, PredictedVad)):
        tables.write(nothing(row), path, row)
    predictions.write_emotion(nothing(EmotionPrediction), predictions.AUDIO / "emotion.csv")
    predictions.write_vad(nothing(VadPrediction), predictions.TEXT / "vad.csv")
    write_text("utterance\n", predictions.AUDIO / "embedding.csv")
    saving.save(None)
    assert run() == ({"audio": {}, "text": {}, "forest": {}},) * 2
    assert predictions.EMOTION.read_text() == ",".join(EmotionPrediction.model_fields) + "\n"
    assert predictions.VAD.read_text() == ",".join(VadPrediction.model_fields) + "\n"


def test_probabilities_that_are_not_calibrated_have_no_temperature(project: Path):
    parameters = yaml.safe_load(Path("params.yaml").read_text())
    parameters["evaluate"]["temperature"] = False
    Path("params.yaml").write_text(yaml.safe_dump(parameters))
    found = run()[1]["audio"]["emotion"]
    assert found["calibration"]["temperature"] is None
    assert found["reliability"] == found["reliability_before"]
    before = DEV.probabilities**1.5
    before /= before.sum(1, keepdims=True)
    expected = confidence_threshold(before, DEV.speakers, 0.9)
    assert found["selection"]["answered"]["0.9"]["threshold"] == pytest.approx(expected)


def test_scoring_needs_no_network_and_writes_the_same_bytes(project: Path):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from stages import evaluate; evaluate.main(); "
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    written = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines() == [
            "evaluate: test utterances: 24 audio emotion, 24 text vad, 24 forest emotion",
            "[]",
        ]
        written.append({path: path.read_bytes() for path in [*predictions.EMOTION.parent.iterdir(), evaluate.METRICS]})
    assert written[0] == written[1]


def test_a_model_whose_answers_for_dev_were_not_stored_is_scored_without_thresholds(project: Path):
    (Path("models/audio") / dev_answers.NAME).unlink()
    for calibrated in (True, False):
        parameters = yaml.safe_load(Path("params.yaml").read_text())
        parameters["evaluate"]["temperature"] = calibrated
        Path("params.yaml").write_text(yaml.safe_dump(parameters))
        found = run()[1]["audio"]["emotion"]
        assert "selection" not in found
        assert found["calibration"]["temperature"] == (1.5 if calibrated else None)
