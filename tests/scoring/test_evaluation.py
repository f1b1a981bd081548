"""One loop scores every model of every target of every branch, and what it finds is what others compute."""

from __future__ import annotations

import json
from dataclasses import replace

import audmetric
import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax
from sklearn import metrics
from sklearn.dummy import DummyRegressor

from emopipe.io.errors import UserError
from emopipe.schemas.dev_answers import DevAnswers
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import EmotionPrediction, VadPrediction, emotion_table, vad_table
from emopipe.scoring.baselines import majority_baseline, mean_baseline
from emopipe.scoring.bootstrap import classification_intervals
from emopipe.scoring.evaluation import evaluate, targets_of
from emopipe.scoring.paired import regression_difference
from emopipe.scoring.selective import aurc, confidence_threshold, conformal_threshold
from emopipe.scoring.statistics import calibration, selection
from emopipe.scoring.targets import EmotionTarget, VadTarget

LABELS = ["anger", "calm", "fear"]
VAD = list(DIMENSIONS)
TEMPERATURE = 1.7
NONE = {
    "emotion": pd.DataFrame(columns=list(EmotionPrediction.model_fields)),
    "vad": pd.DataFrame(columns=list(VadPrediction.model_fields)),
}


def utterances(count: int = 90) -> pd.DataFrame:
    """Return rows of a test set, of which every ninth is not rated."""
    draw = np.random.default_rng(0)
    rows = pd.DataFrame({"utterance": [f"c/u{i}" for i in range(count)], "corpus": "c", "language": "en"})
    rows = rows.assign(speaker=[f"c/s{i % 6}" for i in range(count)], sex=["female", "male"] * (count // 2))
    rows[VAD] = draw.uniform(1, 5, (count, 3))
    rows.loc[::9, VAD] = np.nan
    return rows.assign(emotion=draw.choice(LABELS, count, p=[0.5, 0.3, 0.2]))


ROWS = utterances()
DRAW = np.random.default_rng(1)
LOGITS = {
    model: 2 * DRAW.normal(size=(90, 3)) + sure * np.eye(3)[[LABELS.index(emotion) for emotion in ROWS["emotion"]]]
    for model, sure in (("trained", 3), ("zero_shot", 1))
}
PREDICTED = {model: 0.8 * ROWS[VAD].fillna(3).to_numpy() + noise * DRAW.normal(size=(90, 3)) for model, noise in (
    ("trained", 0.3), ("zero_shot", 1.0), ("zero_shot_uncalibrated", 2.0))}  # fmt: skip
TRAINING = pd.DataFrame(np.random.default_rng(2).uniform(1, 5, (40, 3)), columns=VAD).assign(
    emotion=["calm"] * 25 + ["fear"] * 15
)
TRAINING.loc[::4, VAD] = np.nan


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    parts = []
    for model, logits in LOGITS.items():
        chances = softmax(logits / TEMPERATURE, axis=1)
        parts.append(emotion_table(ROWS, "audio", model, np.array(LABELS)[chances.argmax(1)], chances, LABELS))
    # a forest that does not know fear, and answers the second half alone
    forest = emotion_table(ROWS[45:], "forest", "trained", ["calm"] * 45, np.tile([0.2, 0.8], (45, 1)), LABELS[:2])
    parts += [forest, majority_baseline(parts[0], TRAINING), majority_baseline(forest, TRAINING)]
    vad = [vad_table(ROWS, "text", model, predicted) for model, predicted in PREDICTED.items()]
    vad.append(mean_baseline(vad[0], TRAINING))
    shuffled = [table.sample(frac=1, random_state=3) for table in vad]  # rows of models are matched by utterance
    return {
        "emotion": pd.concat(parts, ignore_index=True),
        "vad": pd.concat([vad[0], *shuffled[1:]], ignore_index=True),
    }


@pytest.fixture(scope="module")
def targets(tables):
    return targets_of(tables)


@pytest.fixture(scope="module")
def found(targets):
    return json.loads(json.dumps(evaluate(targets), allow_nan=False))


def test_the_scores_stand_by_branch_target_and_model(found):
    scores, statistics = found
    shape = {branch: {target: list(models) for target, models in own.items()} for branch, own in scores.items()}
    assert shape == {
        "audio": {"emotion": ["trained", "zero_shot", "majority"]},
        "text": {"vad": ["trained", "zero_shot", "zero_shot_uncalibrated", "mean"]},
        "forest": {"emotion": ["trained", "majority"]},
    }
    assert {branch: list(own) for branch, own in statistics.items()} == {
        "audio": ["emotion"], "text": ["vad"], "forest": ["emotion"],
    }  # fmt: skip


@pytest.mark.parametrize("model", ["trained", "zero_shot", "majority"])
def test_emotions_are_scored_as_by_scikit_learn(found, tables, model):
    own = tables["emotion"].query("branch == 'audio' and model == @model")
    truth, predicted = own["truth"], own["prediction"]
    scores = dict(found[0]["audio"]["emotion"][model])
    report = metrics.classification_report(truth, predicted, output_dict=True, zero_division=0)
    expected = {
        "accuracy": metrics.accuracy_score(truth, predicted),
        "uar": metrics.balanced_accuracy_score(truth, predicted),
        "macro_f1": report["macro avg"]["f1-score"],
        "weighted_f1": report["weighted avg"]["f1-score"],
        "recall": {label: report[label]["recall"] for label in LABELS},
        "utterances": 90,
    }
    if model != "majority":
        chances = own[[f"p_{label}" for label in LABELS]].to_numpy()
        right = chances - np.eye(3)[[LABELS.index(label) for label in truth]]
        expected["brier"] = (right**2).sum(1).mean()
        assert 0 < scores.pop("ece") < 1
    if model == "trained":
        assert scores.pop("interval").keys() == {"uar", "accuracy"}
    for name, value in expected.items():
        assert scores.pop(name) == pytest.approx(value, abs=1e-6)
    assert not scores


@pytest.mark.parametrize("model", ["trained", "zero_shot", "zero_shot_uncalibrated", "mean"])
def test_dimensions_are_scored_as_by_scikit_learn_and_audmetric_where_they_are_rated(found, model):
    rated = ROWS["valence"].notna()
    truth = ROWS.loc[rated, VAD].to_numpy()
    known = TRAINING[VAD].dropna()
    mean = DummyRegressor().fit(np.zeros((len(known), 1)), known).predict(np.zeros((len(truth), 1)))
    predicted = mean if model == "mean" else PREDICTED[model][rated]
    scores = dict(found[0]["text"]["vad"][model])
    assert scores.pop("utterances") == 80
    if model == "trained":
        assert list(scores.pop("interval")) == [f"ccc.{name}" for name in (*VAD, "mean")]
    expected = {
        "mse": metrics.mean_squared_error(truth, predicted, multioutput="raw_values"),
        "rmse": metrics.root_mean_squared_error(truth, predicted, multioutput="raw_values"),
        "mae": metrics.mean_absolute_error(truth, predicted, multioutput="raw_values"),
        "r2": metrics.r2_score(truth, predicted, multioutput="raw_values"),
        "ccc": [audmetric.concordance_cc(truth[:, i], predicted[:, i]) for i in range(3)],
    }
    if model != "mean":  # one answer for all correlates with nothing
        expected["pcc"] = [audmetric.pearson_cc(truth[:, i], predicted[:, i]) for i in range(3)]
    for name, values in expected.items():
        assert scores.pop(name) == pytest.approx(
            {**dict(zip(VAD, values, strict=True)), "mean": np.mean(values)}, abs=1e-6
        )
    assert not scores


def test_every_score_of_every_model_has_its_interval(found, tables):
    statistics = found[1]["audio"]["emotion"]
    assert (statistics["utterances"], statistics["by"], statistics["units"]) == (90, "speaker", 6)
    for model in ("trained", "zero_shot", "majority"):
        own = tables["emotion"].query("branch == 'audio' and model == @model")
        expected = classification_intervals(own["truth"], own["prediction"], own["speaker"])
        assert statistics["intervals"][model].keys() == expected.keys() >= {"uar", "recall.anger"}
        accuracy = expected["accuracy"]
        bounds = {"value": accuracy.value, "low": accuracy.low, "high": accuracy.high}
        assert {name: statistics["intervals"][model]["accuracy"][name] for name in bounds} == bounds
    uar = statistics["intervals"]["trained"]["uar"]
    assert found[0]["audio"]["emotion"]["trained"]["interval"]["uar"] == {"low": uar["low"], "high": uar["high"]}
    majority = statistics["intervals"]["majority"]["uar"]
    assert (majority["low"], majority["high"], majority["value"]) == (None, None, pytest.approx(1 / 3))
    assert "one answer for all" in majority["note"]
    assert "pcc.mean" not in found[1]["text"]["vad"]["intervals"]["mean"]


def test_the_trained_model_is_tested_against_every_other(found, tables):
    scores, statistics = found
    tests = statistics["audio"]["emotion"]["tests"]
    assert list(tests) == ["zero_shot", "majority"]
    for other, differences in tests.items():
        assert 0 <= differences["mcnemar_p"] <= 1
        for score in ("uar", "accuracy", "macro_f1", "weighted_f1"):
            trained, rival = (scores["audio"]["emotion"][model][score] for model in ("trained", other))
            assert differences[score]["difference"] == pytest.approx(trained - rival, abs=1e-9)
    tests = statistics["text"]["vad"]["tests"]
    assert list(tests) == ["zero_shot", "zero_shot_uncalibrated", "mean"]
    rated = ROWS["valence"].notna()
    sides = [[PREDICTED[model][rated]] for model in ("trained", "zero_shot")]
    expected = regression_difference(ROWS.loc[rated, VAD].to_numpy(), *sides, ROWS.loc[rated, "speaker"])
    assert tests["zero_shot"]["ccc.mean"]["p"] == pytest.approx(expected["ccc"]["mean"].p, abs=1e-9)
    assert tests["mean"].keys() == {
        f"{s}.{name}" for s in ("mse", "rmse", "mae", "ccc", "r2") for name in (*VAD, "mean")
    }


def test_groups_are_those_of_the_trained_model(found, tables):
    own = tables["emotion"].query("branch == 'audio' and model == 'trained'")
    groups = found[1]["audio"]["emotion"]["groups"]
    assert list(groups) == ["speaker", "sex", "corpus", "language"]
    for name, values in groups["sex"]["values"].items():
        part = own[own["sex"] == name]
        assert values["uar"] == pytest.approx(metrics.balanced_accuracy_score(part["truth"], part["prediction"]))
        assert values["accuracy"] == pytest.approx((part["truth"] == part["prediction"]).mean())
        assert values["utterances"] == 45
    assert groups["corpus"]["gap"] is None


def test_an_emotion_that_a_model_does_not_know_has_no_chance_with_it(found):
    truth = ROWS["emotion"][45:]
    expected = np.where(
        truth == "anger", 0.8**2 + 0.8**2, np.where(truth == "calm", 0.2**2 + 0.2**2, 1 + 0.2**2 + 0.8**2)
    )
    scores = found[0]["forest"]["emotion"]["trained"]
    assert scores["brier"] == pytest.approx(expected.mean())
    assert scores["ece"] == pytest.approx(abs(0.8 - (truth == "calm").mean()))


@pytest.mark.parametrize("temperature", [TEMPERATURE, None])
def test_what_the_temperature_changes_is_recomputed_from_the_probabilities(targets, temperature):
    found = calibration(targets["audio"]["emotion"], temperature)
    chances = [softmax(LOGITS["trained"] / t, axis=1) for t in (TEMPERATURE, 1.0 if temperature else TEMPERATURE)]
    truth = np.eye(3)[[LABELS.index(label) for label in ROWS["emotion"]]]
    brier, before = (((chance - truth) ** 2).sum(1).mean() for chance in chances)
    assert found["calibration"]["temperature"] == temperature
    assert found["calibration"]["brier"] == pytest.approx(brier)
    assert found["calibration"]["brier_before"] == pytest.approx(before)
    assert (found["reliability"] == found["reliability_before"]) == (temperature is None)
    assert sum(row["count"] for row in found["reliability"]) == 90
    json.dumps(found, allow_nan=False)


def test_a_branch_without_utterances_has_no_scores(tables):
    nothing = {branch: {} for branch in ("audio", "text", "forest")}
    assert evaluate(targets_of(NONE)) == (nothing, nothing)
    unrated = tables["vad"].assign(truth=np.nan)
    scores, statistics = evaluate(targets_of({"emotion": NONE["emotion"], "vad": unrated}))
    assert scores == statistics == nothing


def test_one_utterance_has_scores_and_no_intervals(tables):
    scores, statistics = evaluate(
        targets_of({"emotion": tables["emotion"].query("utterance == 'c/u1'"), "vad": NONE["vad"]})
    )
    assert scores["audio"]["emotion"]["trained"]["interval"] == {}
    assert statistics["audio"]["emotion"]["intervals"]["trained"]["uar"]["note"]
    json.dumps([scores, statistics], allow_nan=False)


def test_models_of_other_test_sets_are_refused(tables):
    emotion = tables["emotion"].query("branch == 'audio'")
    with pytest.raises(UserError, match=r"1 utterance.* of table 1 are not in table 2: c/u5"):
        EmotionTarget.of(emotion[(emotion["utterance"] != "c/u5") | (emotion["model"] != "zero_shot")])
    vad = tables["vad"]
    with pytest.raises(UserError, match="are not in table 3"):
        VadTarget.of(vad[(vad["dimension"] != "arousal") | (vad["model"] != "zero_shot_uncalibrated")])
    with pytest.raises(UserError, match=r"truth of 80 utterance\(s\) differs"):
        VadTarget.of(vad.assign(truth=vad["truth"].where(vad["model"] != "mean", 2.5)))


def test_thresholds_come_from_dev_and_what_they_give_from_the_test_set(targets):
    target = targets["audio"]["emotion"]
    generator = np.random.default_rng(4)
    dev = DevAnswers(generator.dirichlet([0.3] * 3, 80), generator.integers(0, 3, 80), np.repeat(np.arange(10), 8))
    found = selection(target, dev)
    chances = softmax(LOGITS["trained"] / TEMPERATURE, axis=1)
    truth = np.array([LABELS.index(label) for label in ROWS["emotion"]])
    for share, one in found["answered"].items():
        assert one["threshold"] == confidence_threshold(dev.probabilities, dev.speakers, float(share))
        given = chances.max(1) >= one["threshold"]
        assert one["covered"] == pytest.approx(given.mean()) and 0 < given.sum() < 90
        answers = truth[given], chances.argmax(1)[given]
        assert one["accuracy"] == pytest.approx(metrics.accuracy_score(*answers))
        assert one["uar"] == pytest.approx(metrics.recall_score(*answers, average="macro"))
    largest, guarantee = conformal_threshold(dev.probabilities, dev.targets, dev.speakers, 0.9)
    inside = 1 - chances <= largest
    held = pd.Series(inside[np.arange(90), truth])
    sets = found["sets"]
    assert (sets["guarantee"], sets["labels"]) == (guarantee, 3) and guarantee == "speaker"
    assert sets["covered"] == pytest.approx(held.mean()) and sets["size"] == pytest.approx(inside.sum(1).mean())
    assert sets["worst"] == pytest.approx(held.groupby(ROWS["speaker"]).mean().min())
    assert found["aurc"] == pytest.approx(aurc(chances, truth)) and found["aurc"] > found["aurc_perfect"] > 0
    assert found["curve"][-1] == {"coverage": 1.0, "risk": pytest.approx((chances.argmax(1) != truth).mean())}
    nobody = selection(target, dev._replace(probabilities=np.eye(3)[dev.targets]))["answered"]["0.9"]
    assert (nobody["covered"], nobody["accuracy"]) == (0.0, None)
    strangers = replace(target, utterances=target.utterances.assign(speaker=""))
    assert selection(strangers, dev)["sets"] == sets | {"worst": None}
    json.dumps(found, allow_nan=False)
