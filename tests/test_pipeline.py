"""The pipeline itself, with real DVC, in a clone of this repository and on a corpus of a few seconds."""

from __future__ import annotations

import json
import shutil
import subprocess
import time

import pandas as pd
import pytest
from sklearn.metrics import balanced_accuracy_score

from clones import Clone
from processes import kill_all, start
from stages.scoring.regression import SCORES

AUDIO = ["encode", "finetune_audio", "cross_fit_audio", "evaluate", "plot"]
SCORED = ["finetune_audio", "cross_fit_audio", "evaluate"]  # what leads from an encoding to scores
TEXT = ["finetune_text", "fit_forest", "evaluate", "plot"]


def test_what_a_user_gets(clone):
    scores = clone.json("metrics/evaluation.json")
    assert {"uar", "wa", "macro_f1", "weighted_f1", "recall", "majority_wa", "utterances"} <= scores["audio"].keys()
    details = clone.json("data/predictions/details.json")
    uar = details["audio"]["intervals"]["uar"]
    assert uar["value"] == pytest.approx(scores["audio"]["uar"])
    assert (uar["by"], uar["units"], uar["low"]) == ("speaker", 1, None)  # one says nothing of others
    assert scores["audio"]["interval"] == {}
    assert details["audio"]["calibration"]["temperature"] > 0
    assert details["audio"]["tests"].keys() == {"majority"}
    assert details["text"]["emotion"]["tests"].keys() == {"zero_shot", "majority"}
    assert details["text"]["vad"]["tests"].keys() == {"zero_shot", "mean_predictor"}
    assert "ccc.valence" in details["text"]["vad"]["tests"]["zero_shot"]
    assert {"fine_tuned", "zero_shot", "mean_predictor", "majority", "utterances"} <= scores["text"].keys()
    for kind in ("fine_tuned", "zero_shot"):
        assert scores["text"][kind]["vad"].keys() == {"mse", "rmse", "mae", "ccc", "pcc", "r2"}
        assert scores["text"][kind]["vad"]["ccc"].keys() == {"valence", "arousal", "dominance", "mean"}
        assert scores["text"][kind]["emotion"].keys() == {"accuracy", "macro_f1", "weighted_f1", "uar"}
    assert scores["forest"].keys() == {"importance"}
    assert set(scores["forest"]["importance"]) == {"text_valence", "text_arousal", "text_dominance"}
    assert clone.csv("data/audio_vad.csv").empty  # nothing is heard for a forest that reads
    assert clone.csv("data/predictions/forest.csv").empty
    split = clone.csv("data/splits/audio.csv")
    test = set(split.loc[split["split"] == "test", "utterance"])
    audio, text = clone.csv("data/predictions/audio.csv"), clone.csv("data/predictions/text.csv")
    assert set(audio["utterance"]) == test
    labels = sorted(set(split["emotion"]))
    p_labels = [f"p_{label}" for label in labels]
    who = ["utterance", "corpus", "speaker", "sex", "language"]
    assert list(audio) == [*who, "truth", "prediction", "zero_shot", *p_labels]
    assert audio.filter(like="p_").sum(axis=1).to_numpy() == pytest.approx(1)
    assert set(text["utterance"]) <= test  # the text branch holds out what the audio branch does
    names = ["valence", "arousal", "dominance"]
    assert list(text) == [
        *who, *names, *(f"{n}_predicted" for n in names), *(f"{n}_zero_shot" for n in names),
        "emotion", "emotion_predicted", "emotion_zero_shot", *p_labels,
    ]  # fmt: skip
    figures = {path.name for path in (clone.folder / "metrics/figures").iterdir()}
    drawn = {"baselines", "confusion_audio", "confusion_text", "reliability", "training", "vad"}
    assert figures == {f"{name}.png" for name in drawn}  # six utterances are too few for speakers and for t-SNE
    assert "UAR" in (clone.folder / "metrics/report.html").read_text()
    log = (clone.folder / "metrics/text/log.csv").read_text().splitlines()
    assert log[0] == "epoch,train_loss,val_loss,val_mse,val_rmse,val_mae"
    assert len(log) == 2


def test_dvc_shows_plots_and_metrics_without_a_complaint(clone):
    shown = clone.run("dvc", "plots", "show", "-o", str(clone.folder.parent / "plots"))
    assert "WARNING" not in shown.stdout + shown.stderr
    assert "audio.uar" in clone.run("dvc", "metrics", "show").stdout


def test_nothing_reruns_when_nothing_changed_and_git_is_told_of_all(clone):
    assert clone.repro() == []
    untracked = clone.run("git", "status", "--porcelain", "--untracked-files=all").stdout.splitlines()
    assert not [line for line in untracked if line.startswith("??") and "metrics/" not in line]
    assert "up to date" in clone.run("dvc", "status").stdout


PUBLIC = ["models/audio", "models/text", "models/forest.skops", "metrics/report.html"]  # as the README has it


def test_what_was_pushed_is_not_made_again(clone, tmp_path):
    first, second = Clone(tmp_path / "first"), Clone(tmp_path / "second")
    shutil.copytree(clone.folder, first.folder, symlinks=True)
    for name, value in (("user.name", "test"), ("user.email", "test@example.org")):
        first.run("git", "config", name, value)
    first.run("dvc", "remote", "add", "--default", "storage", str(tmp_path / "storage"))
    first.run("git", "add", "--all")
    first.run("git", "commit", "--quiet", "--message", "reproduced")
    first.run("gto", "register", "text")

    def recordings() -> int:
        return sum(path.read_bytes()[:4] == b"fLaC" for path in (tmp_path / "storage").rglob("*") if path.is_file())

    first.run("dvc", "push", *PUBLIC)
    assert recordings() == 0
    subprocess.run(["git", "clone", "--quiet", str(first.folder), str(second.folder)], check=True)
    assert second.ran(second.run("dvc", "repro", "--pull", "--allow-missing")) == []
    second.run("dvc", "pull", *PUBLIC)
    assert not (second.folder / "data/audio").exists()

    first.run("dvc", "push")
    assert recordings() == len(list((first.folder / "data/audio").rglob("*.flac"))) > 0
    assert second.ran(second.run("dvc", "repro", "--pull")) == []
    assert second.run("git", "status", "--porcelain").stdout == ""
    second.run("dvc", "artifacts", "get", str(first.folder), "text", "--out", str(tmp_path / "got"))
    for file in ("model.safetensors", "config.json"):
        made = (first.folder / "models/text" / file).read_bytes()
        assert (tmp_path / "got" / file).read_bytes() == (second.folder / "models/text" / file).read_bytes() == made


# Each row starts from the state that the row before it left.
TABLE = [
    ({"runtime__workers": 1, "runtime__device": "cpu"}, []),
    ({"forest__trees": 7}, ["fit_forest", "evaluate", "plot"]),
    ({"text__dropout": 0.2}, TEXT),
    ({"evaluate__anchors__valence__low": ["Terrible."]}, ["evaluate", "plot"]),
    ({"plot__dpi": 50}, ["plot"]),
]


@pytest.mark.parametrize(("changes", "expected"), TABLE, ids=lambda v: next(iter(v)) if isinstance(v, dict) else "")
def test_only_what_a_parameter_touches_reruns(clone, changes, expected):
    assert clone.repro(**changes) == expected


def test_experiments_of_the_same_test_set_are_compared(clone):
    assert clone.ran(clone.run("dvc", "exp", "run", "-n", "before")) == []
    done = clone.run("dvc", "exp", "run", "-n", "faster", "-S", "train.learning_rate=0.002", "evaluate")
    assert clone.ran(done) == SCORED
    lines = clone.run("python", "-m", "stages.compare", "faster", "before").stdout.splitlines()
    shown = next(line.split() for line in lines if line.startswith("uar"))
    uar = [
        json.loads(clone.run("git", "show", f"{clone.experiment(name)}:metrics/evaluation.json").stdout)["audio"]["uar"]
        for name in ("faster", "before")
    ]
    assert [float(cell) for cell in shown[1:4]] == pytest.approx([*uar, uar[0] - uar[1]], abs=1e-4)


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
    ran = clone.repro(data__text__corpora=[text])
    assert ran == ["fetch", "split", *TEXT]
    audio = manifest(clone, "sounds")
    keep = clone.folder / "kept"  # fetch clears its folder; a corpus of one's own lies elsewhere
    shutil.copytree(clone.folder / "data/raw/audio", keep)
    rows = pd.read_csv(clone.folder / audio, dtype=str, keep_default_na=False)
    rows["path"] = [path.replace("data/raw/audio", "kept") for path in rows["path"]]
    rows.to_csv(clone.folder / audio, index=False)
    assert clone.repro(data__audio__corpora=[audio]) == ["fetch", "resample", "split", *AUDIO]


def test_folds_are_pooled_and_other_test_sets_refused(clone):
    clone.set(split__audio__strategy="speaker_folds", split__audio__folds=2)
    for fold in range(2):
        done = clone.run("dvc", "exp", "run", "-n", f"fold-{fold}", "-S", f"split.audio.fold={fold}", "evaluate")
        assert clone.ran(done) == ["split", *SCORED]
    assert "2 folds" in clone.run("python", "-m", "stages.crossval", "--all").stdout
    pooled = clone.csv("metrics/crossval/fold-0.csv")
    assert set(pooled["utterance"]) == set(clone.csv("data/splits/audio.csv")["utterance"])
    scores = clone.json("metrics/crossval/fold-0.json")
    folds = [group for _, group in pooled.groupby("fold")]
    assert [len(group) for group in folds] == [len(pooled) / 2] * 2
    expected = [balanced_accuracy_score(group["truth"], group["prediction"]) for group in folds]
    assert scores["folds"]["uar"]["values"] == pytest.approx(expected)
    assert scores["pooled"]["uar"]["value"] == balanced_accuracy_score(pooled["truth"], pooled["prediction"])

    refused = clone.run("python", "-m", "stages.compare", "fold-0", "fold-1", check=False)
    assert refused.returncode == 1
    assert "utterance(s) of table 1 are not in table 2" in refused.stderr
    unknown = clone.run("python", "-m", "stages.compare", "fold-0", "nowhere", check=False)
    assert "nowhere: data/predictions/audio.csv cannot be read" in unknown.stderr
    mixed = clone.run("python", "-m", "stages.crossval", "fold-0", "faster", check=False)
    assert "they differ in data.audio.corpora, " in mixed.stderr


def test_wrong_parameters_stop_the_run_with_one_message(clone):
    before = (clone.folder / "params.yaml").read_text()
    clone.set(train__epochs="many")
    done = clone.run("dvc", "repro", check=False)
    assert done.returncode != 0
    assert "params.yaml: 1 invalid value(s)" in done.stderr + done.stdout
    assert "train.epochs: 'many'" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    (clone.folder / "params.yaml").write_text(before)


def test_a_killed_run_goes_on_to_the_same_bytes(clone):
    lock = (clone.folder / "dvc.lock").read_bytes()
    shutil.rmtree(clone.folder / ".dvc/cache")  # nothing can be restored: all is made again
    process = start(clone.folder, "dvc", "repro", "--single-item", "--force", "finetune_audio")
    deadline = time.monotonic() + 120
    while not list(clone.folder.glob(".checkpoints/*/*/*/*/history.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    kill_all(process)
    assert not (clone.folder / "models/audio/config.json").exists()
    again = clone.run("dvc", "repro")
    assert "goes on after epoch" in again.stderr
    assert {"encode", "finetune_audio", "finetune_text", "fit_forest"} <= set(clone.ran(again))
    assert (clone.folder / "dvc.lock").read_bytes() == lock
    assert not (clone.folder / ".checkpoints").exists()
