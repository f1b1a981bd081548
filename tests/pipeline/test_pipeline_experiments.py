"""Experiments with real DVC: other parameters, tasks, corpora and folds, in a clone like that of test_pipeline.py."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from emopipe.scoring.regression import SCORES
from helpers.clones import Clone

FOLLOWED = ["finetune_audio", "cross_fit_audio", "predict_audio"]  # the stages of the audio branch that follow encode
JUDGED = ["evaluate", "fairness", "robustness", "export"]
SCORED = [*FOLLOWED, "evaluate"]  # what leads from an encoding to scores


def test_experiments_of_the_same_test_set_are_compared(clone):
    assert clone.ran(clone.run("dvc", "exp", "run", "-n", "before")) == []
    done = clone.run("dvc", "exp", "run", "-n", "faster", "-S", "train.learning_rate=0.002", "evaluate")
    assert clone.ran(done) == SCORED
    lines = clone.run("python", "-m", "emopipe", "compare", "faster", "before").stdout.splitlines()
    shown = next(line.split() for line in lines if line.startswith("uar"))
    scores = [
        json.loads(clone.run("git", "show", f"{clone.experiment(name)}:metrics/evaluation.json").stdout)
        for name in ("faster", "before")
    ]
    uar = [found["audio"]["emotion"]["trained"]["uar"] for found in scores]
    assert [float(cell) for cell in shown[1:4]] == pytest.approx([*uar, uar[0] - uar[1]], abs=1e-4)
    clone.run("dvc", "exp", "apply", "before")


@pytest.mark.slow
def test_another_backbone_reruns_the_audio_branch_alone(clone, folders):
    assert clone.repro(model__backbone=str(folders("wav2vec2"))) == ["encode", *FOLLOWED, *JUDGED, "plot"]
    assert clone.repro(model__backbone="whisper_tiny_en") == []  # restored from the run-cache


def test_a_regression_is_scored_and_joined_with_text_in_one_forest(clone):
    names = ["dominance", "arousal", "valence"]
    ran = clone.repro(model__task="regression", model__targets=names, forest__inputs="both")
    assert ran == ["split", "shortcuts", *FOLLOWED, "cross_fit_text", "fit_forest", *JUDGED, "plot"]
    the_regression_is_scored(clone, names)
    the_forest_has_both_inputs(clone)
    shown = clone.run("dvc", "plots", "show", "-o", str(clone.folder.parent / "plots"))
    assert "WARNING" not in shown.stdout + shown.stderr
    again = {"model__task": "classification", "model__targets": ["valence", "arousal", "dominance"]}
    assert clone.repro(**again, forest__inputs="text") == []


def the_regression_is_scored(clone: Clone, names: list[str]) -> None:
    scores = clone.json("metrics/evaluation.json")["audio"]["vad"]
    assert scores.keys() == {"trained", "mean"}
    vad, split = clone.csv("data/predictions/vad.csv"), clone.csv("data/splits/audio.csv")
    own = vad[(vad["branch"] == "audio") & (vad["model"] == "trained")]
    for name in names:
        rows = own[own["dimension"] == name].astype({"truth": float, "prediction": float})
        assert list(rows["utterance"]) == list(split.loc[split["split"] == "test", "utterance"])
        assert rows["prediction"].between(1, 5).mean() > 0.8  # not clipped: one may lie beyond
        assert scores["trained"]["mse"][name] == pytest.approx(((rows["truth"] - rows["prediction"]) ** 2).mean())
    for score in SCORES:
        assert list(scores["trained"][score]) == [*names, "mean"]
    config = clone.json("models/audio/config.json")
    assert config["model"]["task"] == "regression"
    train = split[split["split"] == "train"]
    assert config["targets"]["mean"] == pytest.approx([train[name].astype(float).mean() for name in names], rel=1e-5)


def the_forest_has_both_inputs(clone: Clone) -> None:
    audio, text = (clone.csv(f"data/splits/{branch}.csv") for branch in ("audio", "text"))
    vad = [clone.csv(f"data/vad/{branch}.csv") for branch in ("audio", "text")]
    emotion = clone.csv("data/predictions/emotion.csv")
    forest = dict(list(emotion[emotion["branch"] == "forest"].groupby("model")))
    assert forest.keys() == {"trained", "text_only", "audio_only", "zero_shot", "majority"}
    tested = set(forest["trained"]["utterance"])
    training = set(vad[0]["utterance"]) & set(vad[1]["utterance"])
    for name, found in (("train", training), ("test", tested)):
        known = [set(split.loc[split["split"] == name, "utterance"]) for split in (audio, text)]
        assert found == known[0] & known[1] != set()
    texts = text.set_index("utterance")["transcript"].str.lower()
    trained = pd.concat([split[split["split"] != "test"] for split in (audio, text)])  # dev is trained on, too
    assert not tested & set(trained["utterance"])
    assert not set(forest["trained"]["speaker"]) & set(trained["speaker"])
    assert not set(texts[sorted(tested)]) & set(texts[sorted(training)])
    scores = clone.json("metrics/evaluation.json")["forest"]["emotion"]
    for model, own in forest.items():
        assert scores[model]["uar"] == pytest.approx(balanced_accuracy_score(own["truth"], own["prediction"]))
        assert scores[model]["utterances"] == len(tested)
    assert len(clone.json("data/predictions/statistics.json")["forest"]["emotion"]["importance"]) == 6
    assert (clone.folder / "metrics/figures/confusion_forest.png").exists()


def manifest(clone: Clone, name: str, **columns: str) -> str:
    """Write a corpus of the user's own: the synthetic corpus under another name."""
    root = clone.folder / "data/raw/audio"
    rows = pd.read_csv(root / "manifest.csv", dtype=str, keep_default_na=False)
    for column in ("utterance", "corpus", "speaker"):
        rows[column] = rows[column].str.replace("synthetic", name)
    rows["path"] = [str(root / path) for path in rows["path"]]
    rows.assign(**columns).to_csv(clone.folder / f"{name}.csv", index=False)
    return f"{name}.csv"


def test_a_change_of_one_branch_leaves_the_other_alone(clone):
    text = manifest(clone, "words", path="")
    clone.set(data__text__corpora=[text])
    ran = clone.ran(clone.run("dvc", "repro", "fit_forest", "predict_text"))
    assert ran == ["fetch", "split", "finetune_text", "cross_fit_text", "predict_text", "fit_forest"]
    assert clone.outdated() == ["evaluate", "fairness", "plot"]
    audio = manifest(clone, "sounds")
    keep = clone.folder / "kept"  # fetch clears its folder; a corpus of one's own lies elsewhere
    shutil.copytree(clone.folder / "data/raw/audio", keep)
    rows = pd.read_csv(clone.folder / audio, dtype=str, keep_default_na=False)
    rows["path"] = [path.replace("data/raw/audio", "kept") for path in rows["path"]]
    rows.to_csv(clone.folder / audio, index=False)
    clone.set(data__audio__corpora=[audio])
    ran = clone.ran(clone.run("dvc", "repro", "cross_fit_audio", "predict_audio"))
    assert ran == ["fetch", "resample", "split", "encode", *FOLLOWED]
    assert clone.outdated() == ["shortcuts", *JUDGED, "plot"]


@pytest.mark.slow
def test_folds_are_pooled_and_other_test_sets_refused(clone):
    clone.set(split__audio__strategy="speaker_folds", split__audio__folds=2)
    for fold in range(2):
        done = clone.run("dvc", "exp", "run", "-n", f"fold-{fold}", "-S", f"split.audio.fold={fold}", "evaluate")
        assert clone.ran(done) == ["split", *SCORED]
    assert "2 folds" in clone.run("python", "-m", "emopipe", "crossval", "--all").stdout
    pooled = clone.csv("metrics/crossval/fold-0.csv")
    assert set(pooled["utterance"]) == set(clone.csv("data/splits/audio.csv")["utterance"])
    scores = clone.json("metrics/crossval/fold-0.json")
    folds = [group for _, group in pooled.groupby("fold")]
    assert [len(group) for group in folds] == [len(pooled) / 2] * 2
    expected = [balanced_accuracy_score(group["truth"], group["prediction"]) for group in folds]
    assert scores["folds"]["uar"]["values"] == pytest.approx(expected)
    assert scores["pooled"]["uar"]["value"] == balanced_accuracy_score(pooled["truth"], pooled["prediction"])

    refused = clone.run("python", "-m", "emopipe", "compare", "fold-0", "fold-1", check=False)
    assert refused.returncode == 1
    assert "utterance(s) of table 1 are not in table 2" in refused.stderr
    unknown = clone.run("python", "-m", "emopipe", "compare", "fold-0", "nowhere", check=False)
    assert "nowhere: data/predictions/emotion.csv cannot be read" in unknown.stderr
    mixed = clone.run("python", "-m", "emopipe", "crossval", "fold-0", "faster", check=False)
    assert "they differ in data.audio.corpora, " in mixed.stderr
