"""The forest on the test set: which utterances, beside which baselines, and what each input is worth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import recall_score

from emopipe.forest.prediction import held_out_inputs, importance, predict
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import METADATA, vad_table
from emopipe.schemas.vad import feature_names

VAD = list(DIMENSIONS)
BOTH = feature_names("text", "audio")


def utterances(count: int = 200, seed: int = 5) -> pd.DataFrame:
    """Return inputs of both branches and emotions: words tell anger, sound tells fear, dominance tells nothing."""
    table = pd.DataFrame({"utterance": [f"c/{i}" for i in range(count)]})
    table[BOTH] = np.random.default_rng(seed).uniform(1, 5, (count, 6))
    emotion = np.where(table["audio_arousal"] > 3, "fear", "calm")
    return table.assign(emotion=np.where(table["text_valence"] < 2.5, "anger", emotion))


TRAINING, TESTED = utterances(), utterances(300).iloc[200:]


def split(tested: pd.DataFrame, branch: str) -> pd.DataFrame:
    """Return a branch's split of the test utterances, and of two more: one it knows alone, and one without emotion."""
    rows = tested[["utterance", "emotion"]].assign(corpus="c", speaker=f"c/{branch}", sex="", language="en")
    more = rows.iloc[:2].assign(utterance=[f"c/{branch}", "c/unnamed"])
    more.loc[more.index[1], "emotion"] = ""
    return pd.concat([more, rows], ignore_index=True).assign(**dict.fromkeys(VAD, np.nan))


SPLITS = {branch: split(TESTED, branch) for branch in ("text", "audio")}


def predicted(branch: str, model: str = "trained") -> pd.DataFrame:
    """Return the predicted dimensions of a branch's test utterances: its inputs, or with zero-shot 3 and noise."""
    draw = np.random.default_rng(len(model))
    known = TESTED[feature_names(branch)].to_numpy() if model == "trained" else 3 + draw.normal(size=(100, 3))
    return vad_table(SPLITS[branch], branch, model, np.concatenate([np.full((2, 3), 1.5), known]))


TABLE = pd.concat([predicted("audio"), predicted("text"), predicted("text", "zero_shot")], ignore_index=True)
ZERO_SHOT = pd.DataFrame(np.random.default_rng(8).uniform(1, 5, (150, 3)), columns=VAD)
ZERO_SHOT = ZERO_SHOT.assign(emotion=np.where(ZERO_SHOT["valence"] > 3, "calm", "anger"))


def fitted(names: list[str], trees: int = 20) -> RandomForestClassifier:
    return RandomForestClassifier(trees, random_state=1).fit(TRAINING[names], TRAINING["emotion"])


def test_a_forest_of_both_predicts_what_both_branches_hold_out():
    inputs = held_out_inputs(fitted(BOTH), TABLE, SPLITS)
    assert list(inputs) == ["utterance", "emotion", *BOTH, *METADATA]
    assert list(inputs["utterance"]) == list(TESTED["utterance"])
    np.testing.assert_array_equal(inputs[BOTH], TESTED[BOTH])
    assert set(inputs["speaker"]) == {"c/text"}


@pytest.mark.parametrize("branch", ["text", "audio"])
def test_a_forest_of_one_branch_predicts_all_its_test_utterances_with_an_emotion(branch):
    inputs = held_out_inputs(fitted(feature_names(branch)), TABLE, SPLITS)
    assert list(inputs["utterance"]) == [f"c/{branch}", *TESTED["utterance"]]
    assert (inputs["emotion"] != "").all()


def test_a_forest_of_both_stands_beside_those_of_one_branch_and_of_zero_shot_vad():
    forest = fitted(BOTH)
    table = predict(forest, held_out_inputs(forest, TABLE, SPLITS), TRAINING, TABLE, ZERO_SHOT)
    assert list(table["model"].unique()) == ["trained", "text_only", "audio_only", "zero_shot"]
    own = RandomForestClassifier(20, random_state=1).fit(ZERO_SHOT[VAD].to_numpy(), ZERO_SHOT["emotion"])
    zero_shot = predicted("text", "zero_shot")["prediction"].to_numpy().reshape(-1, 3)[2:]
    expected = {
        "trained": forest.predict_proba(TESTED[BOTH]),
        "text_only": fitted(BOTH[:3]).predict_proba(TESTED[BOTH[:3]]),
        "audio_only": fitted(BOTH[3:]).predict_proba(TESTED[BOTH[3:]]),
        "zero_shot": own.predict_proba(zero_shot),  # of VAD that was not trained, on the test set too
    }
    uar = {}
    for model, chances in expected.items():
        rows = table[table["model"] == model]
        labels = ["anger", "calm"] if model == "zero_shot" else ["anger", "calm", "fear"]
        assert list(rows["utterance"]) == list(TESTED["utterance"])
        np.testing.assert_array_equal(rows[[f"p_{label}" for label in labels]], chances)
        assert list(rows["prediction"]) == list(np.array(labels)[chances.argmax(1)])
        assert list(rows["truth"]) == list(TESTED["emotion"])
        assert set(rows["branch"]) == {"forest"}
        uar[model] = recall_score(rows["truth"], rows["prediction"], average="macro")
    assert table.loc[table["model"] == "zero_shot", "p_fear"].isna().all()
    assert uar["trained"] > max(uar["text_only"], uar["audio_only"])


def test_a_forest_of_vad_as_rated_is_its_own_zero_shot_forest():
    for names in (BOTH, BOTH[:3]):
        forest = fitted(names)
        table = predict(forest, held_out_inputs(forest, TABLE, SPLITS), TRAINING, TABLE, None)
        found = table.loc[(table["model"] == "zero_shot") & (table["utterance"] != "c/text"), "prediction"]
        zero_shot = predicted("text", "zero_shot")["prediction"].to_numpy().reshape(-1, 3)[2:]
        expected = fitted(BOTH[:3]).predict(pd.DataFrame(zero_shot, columns=BOTH[:3]))
        assert list(found) == list(expected)


def test_a_forest_of_audio_has_no_baseline_of_text():
    forest = fitted(BOTH[3:])
    table = predict(forest, held_out_inputs(forest, TABLE, SPLITS), TRAINING, TABLE, ZERO_SHOT)
    assert set(table["model"]) == {"trained"}
    assert len(table) == 101


def test_without_predictions_of_a_branch_no_utterance_is_held_out():
    text = TABLE[TABLE["branch"] == "text"]
    assert held_out_inputs(fitted(BOTH), text, SPLITS).empty
    assert held_out_inputs(fitted(BOTH[3:]), text, SPLITS).empty


def test_an_input_is_worth_what_uar_falls_by_when_it_is_shuffled():
    training, tested = utterances(600), utterances(800).iloc[600:]
    forest = RandomForestClassifier(7, random_state=1).fit(training[BOTH], training["emotion"])
    worth, draw = importance(forest, tested), np.random.default_rng(9)
    whole = recall_score(tested["emotion"], forest.predict(tested[BOTH]), average="macro")
    for name in BOTH:
        falls = []
        for _ in range(20):
            other = tested.assign(**{name: draw.permutation(tested[name])})
            falls.append(whole - recall_score(tested["emotion"], forest.predict(other[BOTH]), average="macro"))
        error = np.hypot(np.std(falls), worth[name]["std"]) / np.sqrt(20)
        assert worth[name]["mean"] == pytest.approx(np.mean(falls), abs=4 * error + 1e-12)
    assert min(worth["text_valence"]["mean"], worth["audio_arousal"]["mean"]) > 0.2
    assert max(abs(worth[name]["mean"]) for name in BOTH if name.endswith("dominance")) < 0.05
    assert importance(forest, tested) == worth
