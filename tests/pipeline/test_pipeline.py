"""The pipeline itself, with real DVC, in a clone of this repository and on a corpus of a few seconds."""

from __future__ import annotations

import shutil
import subprocess
import time

import pytest

from helpers.clones import Clone
from helpers.processes import kill_all, start

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
    process = start(clone.folder, "dvc", "repro", "--single-item", "--force", "finetune_audio")
    deadline = time.monotonic() + 120
    while not list(clone.folder.glob(".checkpoints/*/*/*/*/history.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    kill_all(process)
    assert not (clone.folder / "models/audio/config.json").exists()
    made = ["encode", "finetune_audio", "finetune_text", "fit_forest"]  # again: forced, nothing is restored
    again = clone.run("dvc", "repro", "--single-item", "--force", *made)
    assert "goes on after epoch" in again.stderr
    assert clone.ran(again) == made
    assert clone.repro() == []
    assert (clone.folder / "dvc.lock").read_bytes() == lock
    assert not (clone.folder / ".checkpoints").exists()
