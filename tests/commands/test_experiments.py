"""Comparing experiments, and pooling their folds: emotions, dimensions, and the branches that runs have in common."""

from __future__ import annotations

import argparse
import io
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from emopipe.commands import compare, crossval, experiments
from emopipe.io.errors import UserError
from emopipe.schemas import predictions
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import EmotionPrediction, VadPrediction, emotion_table, vad_table
from emopipe.schemas.robustness import ANSWERS, CLEAN, KEYS
from emopipe.scoring.regression import regression

NAMES = ["arousal", "valence"]
EMOTIONS = ["anger", "calm", "fear"]


def rows(first: int = 0) -> pd.DataFrame:
    """Return thirty utterances of six speakers, with the same ratings and emotions in every run."""
    number = np.arange(first, first + 30)
    table = pd.DataFrame({"utterance": [f"c/u{i}" for i in number], "corpus": "c", "sex": "", "language": ""})
    table["speaker"] = [f"c/s{i % 6}" for i in number]
    table = table.assign(**{name: 3 + 2 * np.sin(number + i) for i, name in enumerate(DIMENSIONS)})
    return table.assign(emotion=np.array(EMOTIONS, dtype=object)[number % 3])


def audio(seed: int, names: list[str] = NAMES, first: int = 0) -> pd.DataFrame:
    """Return the audio predictions of a run of a regression, and what stands beside them."""
    table, generator = rows(first), np.random.default_rng(seed)
    predicted = table[names].to_numpy() + 0.1 * seed * generator.normal(size=(30, len(names)))
    trained = vad_table(table, "audio", "trained", predicted, names)
    return pd.concat([trained, trained.assign(model="mean", prediction=3.0)], ignore_index=True)


def answers(seed: int, branch: str, first: int = 0) -> pd.DataFrame:
    """Return the emotions that a run predicts from a branch, and what stands beside them."""
    table, generator = rows(first), np.random.default_rng(seed)
    wrong = generator.random(30) < 0.1 * seed
    trained = emotion_table(
        table, branch, "trained", np.where(wrong, "calm", table["emotion"]), np.tile([0.6, 0.4], (30, 1)), EMOTIONS[:2]
    )
    return pd.concat([trained, trained.assign(model="majority", prediction="anger")], ignore_index=True)


NONE = {
    predictions.EMOTION: pd.DataFrame(columns=list(EmotionPrediction.model_fields)),
    predictions.VAD: pd.DataFrame(columns=list(VadPrediction.model_fields)),
    ANSWERS: pd.DataFrame(columns=list(KEYS)),
}


@pytest.fixture
def revisions(monkeypatch, tmp_path):
    """Return the tables of each revision by path, which a test may change. A revision's fold is its number."""
    vad = {"a0": audio(1), "b1": audio(5), "c2": audio(2, first=30), "d3": audio(2, ["valence"])}
    tables = {name: NONE | {predictions.VAD: table} for name, table in vad.items()}
    monkeypatch.setattr(experiments, "read", lambda path, name: io.StringIO(tables[name][path].to_csv(index=False)))
    monkeypatch.setattr(experiments, "names", lambda: list(tables))
    monkeypatch.setattr(experiments, "parameters", lambda name: {crossval.FOLD: int(name[-1])})
    monkeypatch.chdir(tmp_path)
    return tables


def call(command, *arguments):
    parser = argparse.ArgumentParser()
    command.configure(parser)
    command.run(parser.parse_args(arguments))


def trained(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["model"] == "trained"]


def scores_of(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    truth, predicted = (trained(table)[column].to_numpy().reshape(-1, 2) for column in ("truth", "prediction"))
    return regression(truth, predicted, NAMES)


def lines(shown: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split() for line in shown.splitlines() if line[:1].islower()}


def test_regressions_are_compared_target_by_target(revisions, capsys):
    revisions["b1"][predictions.VAD] = audio(5).sample(frac=1, random_state=1)  # rows may be in another order
    call(compare, "a0", "b1")
    shown = capsys.readouterr().out
    assert shown.startswith("A: a0\nB: b1\n\naudio: 30 test utterances, resampled by speaker (6)\n")
    found = lines(shown.split("p\n", 1)[1])
    assert found.keys() == {
        f"{score}.{name}" for score in ("mse", "rmse", "mae", "ccc", "pcc", "r2") for name in (*NAMES, "mean")
    }
    for key, cells in found.items():
        score, name = key.split(".")
        a, b = (scores_of(audio(seed))[score][name] for seed in (1, 5))
        assert [float(cell) for cell in cells[1:4]] == pytest.approx([a, b, a - b], abs=1e-4)
    assert "McNemar" not in shown


def test_forests_are_compared_where_both_runs_have_one(revisions, capsys):
    revisions["a0"][predictions.EMOTION] = answers(1, "forest")
    call(compare, "a0", "b1")
    assert "forest:" not in capsys.readouterr().out
    revisions["b1"][predictions.EMOTION] = answers(6, "forest")
    call(compare, "a0", "b1")
    shown = capsys.readouterr().out.split("forest: 30 test utterances, resampled by speaker (6)")[1]
    tables = [trained(answers(seed, "forest")) for seed in (1, 6)]
    assert list(lines(shown)) == ["accuracy", "uar", "macro_f1", "weighted_f1"]
    for score, function in (("uar", balanced_accuracy_score), ("accuracy", accuracy_score)):
        a, b = (function(table["truth"], table["prediction"]) for table in tables)
        assert [float(cell) for cell in lines(shown)[score][1:4]] == pytest.approx([a, b, a - b], abs=1e-4)
    right = [(table["truth"] == table["prediction"]).to_numpy() for table in tables]
    alone = f"right by A alone {(right[0] & ~right[1]).sum()}, by B alone {(right[1] & ~right[0]).sum()}"
    assert f"McNemar (exact): {alone}, p " in shown


def test_groups_of_runs_are_compared_by_their_means(revisions, capsys):
    for name in ("a0", "b1"):
        revisions[f"{name}-x"] = dict(revisions[name])
        revisions[f"{name}-x"][predictions.VAD] = audio(3)
    call(compare, "a0*", "b1,b1-x")
    shown = capsys.readouterr().out
    assert shown.startswith("A: a0, a0-x\nB: b1, b1-x\n")
    a, b = (np.mean([scores_of(audio(seed))["ccc"]["mean"] for seed in seeds]) for seeds in ((1, 3), (5, 3)))
    assert [float(cell) for cell in lines(shown)["ccc.mean"][1:4]] == pytest.approx([a, b, a - b], abs=1e-4)


def under(table: pd.DataFrame, answer, conditions) -> pd.DataFrame:
    """Return the answers for the utterances of a table under conditions, each of them given by a function."""
    own = table.drop_duplicates("utterance")
    return pd.concat(
        own[["utterance"]].assign(condition=name, level=level, **answer(own, number))
        for number, (name, level) in enumerate([CLEAN, *conditions])
    )


def test_robustness_is_compared_where_all_runs_were_tested(revisions, capsys):
    generator, suite = np.random.default_rng(3), [("white_noise", "20dB"), ("gain", "drawn")]
    for name in ("a0", "b1"):
        revisions[name] |= NONE | {predictions.EMOTION: answers(1, "audio")}

    def emotions(own, number):
        return {"emotion": generator.choice(EMOTIONS, len(own)), "p_calm": 0.5}

    table = trained(revisions["a0"][predictions.EMOTION])
    revisions["a0"][ANSWERS] = under(table, emotions, suite)
    call(compare, "a0", "b1")
    assert "under conditions" not in capsys.readouterr().out
    revisions["b1"][ANSWERS] = under(table, emotions, suite[:1])
    call(compare, "a0", "b1")
    out = capsys.readouterr().out
    (line,) = out[out.index("audio under conditions: uar") :].splitlines()[2:]
    truth = table.set_index("utterance")["truth"]
    for name, shown in zip(("a0", "b1"), line.split()[2:4], strict=True):
        own = revisions[name][ANSWERS].query("condition == 'white_noise'").set_index("utterance")["emotion"]
        assert float(shown) == pytest.approx(balanced_accuracy_score(truth[own.index], own), abs=1e-4)
    assert line.startswith("white_noise 20dB ")
    revisions["b1"][ANSWERS] = under(table, emotions, suite)
    call(compare, "a0", "b1")
    last = capsys.readouterr().out.splitlines()[-1]
    for name, shown in zip(("a0", "b1"), last.removeprefix("all of these").split()[:2], strict=True):
        own = revisions[name][ANSWERS].query("condition != 'clean'")
        expected = balanced_accuracy_score(truth[own["utterance"]], own["emotion"])  # of all answers together
        assert float(shown) == pytest.approx(expected, abs=1e-4)


def test_robustness_of_regressions_is_compared_by_the_mean_of_the_targets(revisions, capsys):
    for name, shift in (("a0", 0.0), ("b1", 1.0)):
        table = trained(revisions[name][predictions.VAD])
        values = table.pivot(index="utterance", columns="dimension", values="truth") + shift

        def ratings(own, _, values=values):
            return dict(values.loc[own["utterance"]].set_axis(own.index))

        revisions[name][ANSWERS] = under(table, ratings, [("white_noise", "20dB")])
    call(compare, "a0", "b1")
    line = capsys.readouterr().out.splitlines()[-1].split()
    assert line[0] == "white_noise" and float(line[2]) == 1.0 and 0 < float(line[3]) < 0.9


def test_runs_of_other_targets_are_not_compared(revisions):
    with pytest.raises(UserError, match="do not predict the same from audio"):
        call(compare, "a0", "d3")
    revisions["b1"] = NONE | {predictions.EMOTION: answers(1, "audio")}
    with pytest.raises(UserError, match="do not predict the same from audio"):
        call(compare, "a0", "b1")


def test_runs_without_a_branch_in_common_are_not_compared(revisions):
    revisions["b1"] = NONE | {predictions.EMOTION: answers(1, "forest")}
    with pytest.raises(UserError, match="no test predictions of one branch in common"):
        call(compare, "a0", "b1")


def test_other_test_sets_are_refused(revisions):
    with pytest.raises(UserError, match=r"30 utterance\(s\) of table 1 are not in table 2"):
        call(compare, "a0", "c2")


def test_the_folds_of_a_regression_are_pooled(revisions, capsys):
    call(crossval, "a0", "c2")
    found = json.loads((crossval.FOLDER / "a0.json").read_text())
    folds = [audio(1), audio(2, first=30)]
    for score, values in scores_of(pd.concat(folds)).items():
        for name, value in values.items():
            assert found["pooled"][f"{score}.{name}"]["value"] == pytest.approx(value)
    each = [scores_of(table)["ccc"]["mean"] for table in folds]
    assert found["folds"]["ccc.mean"]["values"] == pytest.approx(each)
    assert found["folds"]["ccc.mean"]["mean"] == pytest.approx(np.mean(each))
    shown = capsys.readouterr().out
    assert shown.startswith("2 folds, 60 utterances, 6 speakers: metrics/crossval/a0.json\n")
    assert "  ccc.mean " in shown
    pooled = pd.read_csv(crossval.FOLDER / "a0.csv")
    assert list(pooled) == [*VadPrediction.model_fields, "fold"]
    assert pooled.groupby("fold")["utterance"].nunique().to_dict() == {0: 30, 2: 30}


def test_the_folds_of_a_classification_are_pooled(revisions, capsys):
    forest = answers(1, "forest").rename(columns={"p_calm": "p_fear"})  # whose labels are others
    for name, seed, first in (("a0", 3, 0), ("c2", 5, 30)):
        emotion = pd.concat([answers(seed, "audio", first), forest], ignore_index=True)
        revisions[name] = NONE | {predictions.EMOTION: emotion}
    call(crossval, "a0", "c2")
    found = json.loads((crossval.FOLDER / "a0.json").read_text())
    folds = [trained(answers(3, "audio")), trained(answers(5, "audio", 30))]
    whole = pd.concat(folds)
    assert found["pooled"]["uar"]["value"] == pytest.approx(
        balanced_accuracy_score(whole["truth"], whole["prediction"])
    )
    assert found["folds"]["accuracy"]["values"] == pytest.approx(
        [accuracy_score(table["truth"], table["prediction"]) for table in folds]
    )
    assert found["experiments"] == {"0": "a0", "2": "c2"}
    assert {"  accuracy", "  recall.anger"} <= {line[:14].rstrip() for line in capsys.readouterr().out.splitlines()}
    assert list(pd.read_csv(crossval.FOLDER / "a0.csv")) == [
        *EmotionPrediction.model_fields,
        "p_anger",
        "p_calm",
        "fold",
    ]


def test_an_utterance_is_tested_in_one_fold_alone(revisions):
    with pytest.raises(UserError, match=r"30 utterance\(s\) are tested in more than one fold: c/u0, "):
        call(crossval, "a0", "b1")
    revisions["a0"] = revisions["b1"] = dict(NONE)
    with pytest.raises(UserError, match="the folds test nothing from audio"):
        call(crossval, "a0", "b1")


@pytest.mark.parametrize("arguments", [[], ["--all", "a0"]])
def test_experiments_are_named_or_all_are_taken(arguments, capsys):
    with pytest.raises(SystemExit):
        call(crossval, *arguments)
    assert "--all" in capsys.readouterr().err
