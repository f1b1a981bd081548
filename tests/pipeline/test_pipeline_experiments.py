"""Experiments with real DVC: other parameters, tasks, corpora and folds, in a clone like that of test_pipeline.py."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from emopipe.scoring.regression import SCORES
from helpers.clones import Clone

AUDIO = ["encode", "finetune_audio", "cross_fit_audio", "evaluate", "plot"]
SCORED = ["finetune_audio", "cross_fit_audio", "evaluate"]  # what leads from an encoding to scores


def test_experiments_of_the_same_test_set_are_compared(clone):
    assert clone.ran(clone.run("dvc", "exp", "run", "-n", "before")) == []
    done = clone.run("dvc", "exp", "run", "-n", "faster", "-S", "train.learning_rate=0.002", "evaluate")
    assert clone.ran(done) == SCORED
    lines = clone.run("python", "-m", "emopipe.commands.compare", "faster", "before").stdout.splitlines()
    shown = next(line.split() for line in lines if line.startswith("uar"))
    uar = [
        json.loads(clone.run("git", "show", f"{clone.experiment(name)}:metrics/evaluation.json").stdout)["audio"]["uar"]
        for name in ("faster", "before")
    ]
    assert [float(cell) for cell in shown[1:4]] == pytest.approx([*uar, uar[0] - uar[1]], abs=1e-4)
    clone.run("dvc", "exp", "apply", "before")


def test_another_backbone_reruns_the_audio_branch_alone(clone, folders):
    assert clone.repro(model__backbone=str(folders("wav2vec2"))) == AUDIO
    assert clone.repro(model__backbone="whisper_tiny_en") == []  # restored from the run-cache


def test_a_regression_of_speech_is_scored_and_meets_words_in_one_forest(clone):
    names = ["dominance", "arousal", "valence"]
    ran = clone.repro(model__task="regression", model__targets=names, forest__inputs="both")
    assert ran == ["split", "finetune_audio", "cross_fit_audio", "fit_forest", "evaluate", "plot"]
    speech_was_scored(clone, names)
    words_and_sound_met(clone)
    shown = clone.run("dvc", "plots", "show", "-o", str(clone.folder.parent / "plots"))
    assert "WARNING" not in shown.stdout + shown.stderr
    again = {"model__task": "classification", "model__targets": ["valence", "arousal", "dominance"]}
    assert clone.repro(**again, forest__inputs="text") == []


def speech_was_scored(clone: Clone, names: list[str]) -> None:
    scores = clone.json("metrics/evaluation.json")["audio"]
    assert scores.keys() == {*SCORES, "mean_predictor", "utterances", "interval"}
    for score in SCORES:
        assert list(scores[score]) == [*names, "mean"]
    audio, split = clone.csv("data/predictions/audio.csv"), clone.csv("data/splits/audio.csv")
    who = ["utterance", "corpus", "speaker", "sex", "language"]
    assert list(audio) == [*who, *names, *(f"{name}_predicted" for name in names)]
    assert list(audio["utterance"]) == list(split.loc[split["split"] == "test", "utterance"])
    for name in names:
        assert audio[f"{name}_predicted"].between(1, 5).mean() > 0.8  # not clipped: one may lie beyond
        assert scores["mse"][name] == pytest.approx(((audio[name] - audio[f"{name}_predicted"]) ** 2).mean())
    config = clone.json("models/audio/config.json")
    assert config["model"]["task"] == "regression"
    train = split[split["split"] == "train"]
    assert config["targets"]["mean"] == pytest.approx([train[name].mean() for name in names], rel=1e-5)
    report = (clone.folder / "metrics/report.html").read_text()
    assert "dominance, arousal and valence of a recording?" in report
    assert "the last, of a training on train and dev together" in report


def words_and_sound_met(clone: Clone) -> None:
    heard, read = (clone.csv(f"data/splits/{branch}.csv") for branch in ("audio", "text"))
    learnt, tested = clone.csv("data/forest.csv"), clone.csv("data/predictions/forest.csv")
    for name, found in (("train", learnt), ("test", tested)):
        known = [set(split.loc[split["split"] == name, "utterance"]) for split in (heard, read)]
        assert set(found["utterance"]) == known[0] & known[1] != set()
    texts = read.set_index("utterance")["transcript"].str.lower()
    trained = pd.concat([split[split["split"] != "test"] for split in (heard, read)])  # dev chooses, and is learnt from
    assert not set(tested["utterance"]) & set(trained["utterance"])
    assert not set(tested["speaker"]) & set(trained["speaker"])
    assert not set(texts[tested["utterance"]]) & set(texts[learnt["utterance"]])

    scores = clone.json("metrics/evaluation.json")
    columns = {"fine_tuned": "prediction", "text_alone": "text_alone", "audio_alone": "audio_alone"}
    for name, column in (columns | {"zero_shot": "zero_shot"}).items():
        uar = balanced_accuracy_score(tested["truth"], tested[column])
        assert scores["forest"][name]["uar"] == pytest.approx(uar)
    assert scores["forest"]["utterances"] == len(tested)
    assert len(scores["forest"]["importance"]) == 6
    assert {"vad", "emotion"} == scores["text"]["fine_tuned"].keys()
    text = clone.csv("data/predictions/text.csv").set_index("utterance")
    assert list(text["emotion_predicted"][tested["utterance"]]) == list(tested["text_alone"])
    assert (clone.folder / "metrics/figures/confusion_forest.png").exists()
    assert 'id="forest"' in (clone.folder / "metrics/report.html").read_text()


def manifest(clone: Clone, name: str, **columns: str) -> str:
    """Write a corpus of the user's own: the demo corpus under another name."""
    root = clone.folder / "data/raw/audio"
    rows = pd.read_csv(root / "manifest.csv", dtype=str, keep_default_na=False)
    for column in ("utterance", "corpus", "speaker"):
        rows[column] = rows[column].str.replace("demo", name)
    rows["path"] = [str(root / path) for path in rows["path"]]
    rows.assign(**columns).to_csv(clone.folder / f"{name}.csv", index=False)
    return f"{name}.csv"


def test_a_change_of_one_branch_leaves_the_other_alone(clone):
    text = manifest(clone, "words", path="")
    clone.set(data__text__corpora=[text])
    assert clone.ran(clone.run("dvc", "repro", "fit_forest")) == ["fetch", "split", "finetune_text", "fit_forest"]
    assert clone.outdated() == ["evaluate", "plot"]
    audio = manifest(clone, "sounds")
    keep = clone.folder / "kept"  # fetch clears its folder; a corpus of one's own lies elsewhere
    shutil.copytree(clone.folder / "data/raw/audio", keep)
    rows = pd.read_csv(clone.folder / audio, dtype=str, keep_default_na=False)
    rows["path"] = [path.replace("data/raw/audio", "kept") for path in rows["path"]]
    rows.to_csv(clone.folder / audio, index=False)
    clone.set(data__audio__corpora=[audio])
    ran = clone.ran(clone.run("dvc", "repro", "cross_fit_audio"))
    assert ran == ["fetch", "resample", "split", "encode", "finetune_audio", "cross_fit_audio"]
    assert clone.outdated() == ["evaluate", "plot"]


def test_folds_are_pooled_and_other_test_sets_refused(clone):
    clone.set(split__audio__strategy="speaker_folds", split__audio__folds=2)
    for fold in range(2):
        done = clone.run("dvc", "exp", "run", "-n", f"fold-{fold}", "-S", f"split.audio.fold={fold}", "evaluate")
        assert clone.ran(done) == ["split", *SCORED]
    assert "2 folds" in clone.run("python", "-m", "emopipe.commands.crossval", "--all").stdout
    pooled = clone.csv("metrics/crossval/fold-0.csv")
    assert set(pooled["utterance"]) == set(clone.csv("data/splits/audio.csv")["utterance"])
    scores = clone.json("metrics/crossval/fold-0.json")
    folds = [group for _, group in pooled.groupby("fold")]
    assert [len(group) for group in folds] == [len(pooled) / 2] * 2
    expected = [balanced_accuracy_score(group["truth"], group["prediction"]) for group in folds]
    assert scores["folds"]["uar"]["values"] == pytest.approx(expected)
    assert scores["pooled"]["uar"]["value"] == balanced_accuracy_score(pooled["truth"], pooled["prediction"])

    refused = clone.run("python", "-m", "emopipe.commands.compare", "fold-0", "fold-1", check=False)
    assert refused.returncode == 1
    assert "utterance(s) of table 1 are not in table 2" in refused.stderr
    unknown = clone.run("python", "-m", "emopipe.commands.compare", "fold-0", "nowhere", check=False)
    assert "nowhere: data/predictions/audio.csv cannot be read" in unknown.stderr
    mixed = clone.run("python", "-m", "emopipe.commands.crossval", "fold-0", "faster", check=False)
    assert "they differ in data.audio.corpora, " in mixed.stderr
