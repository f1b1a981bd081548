"""The pipeline itself, with real DVC, in a clone of this repository and on a corpus of a few seconds."""

from __future__ import annotations

import re
import shutil
import subprocess
import time

import pytest

from helpers.clones import Clone
from helpers.processes import kill_all, start

TEXT = ["finetune_text", "cross_fit_text", "predict_text", "fit_forest", "evaluate", "fairness", "plot"]
METADATA = ["utterance", "corpus", "speaker", "sex", "language"]
DIMENSIONS = ["valence", "arousal", "dominance"]


def test_what_a_user_gets(clone):
    scores = clone.json("metrics/evaluation.json")
    assert {branch: {target: set(models) for target, models in own.items()} for branch, own in scores.items()} == {
        "audio": {"emotion": {"trained", "majority"}},
        "text": {"vad": {"trained", "zero_shot", "zero_shot_uncalibrated", "mean"}},
        "forest": {"emotion": {"trained", "zero_shot", "majority"}},
    }
    trained = scores["audio"]["emotion"]["trained"]
    assert trained.keys() == {
        "accuracy", "uar", "macro_f1", "weighted_f1", "recall", "ece", "brier", "utterances", "interval",
    }  # fmt: skip
    assert scores["text"]["vad"]["trained"]["pcc"].keys() == {*DIMENSIONS, "mean"}
    statistics = clone.json("data/predictions/statistics.json")
    uar = statistics["audio"]["emotion"]["intervals"]["trained"]["uar"]
    assert uar["value"] == pytest.approx(trained["uar"])
    assert uar["low"] is None  # one speaker says nothing of others
    assert statistics["audio"]["emotion"]["calibration"]["temperature"] > 0
    assert set(statistics["forest"]["emotion"]["importance"]) == {f"text_{name}" for name in DIMENSIONS}
    assert clone.csv("data/vad/audio.csv").empty  # the forest takes text alone
    assert len(clone.csv("data/vad/text.csv"))


def test_the_predictions_are_of_the_test_sets(clone):
    split, text = clone.csv("data/splits/audio.csv"), clone.csv("data/splits/text.csv")
    emotion, vad = clone.csv("data/predictions/emotion.csv"), clone.csv("data/predictions/vad.csv")
    labels = sorted(set(split["emotion"]) | set(text["emotion"]) - {""})
    assert list(emotion) == [*METADATA, "branch", "model", "truth", "prediction", *(f"p_{name}" for name in labels)]
    assert list(vad) == [*METADATA, "branch", "model", "dimension", "truth", "prediction"]
    tested = set(split.loc[split["split"] == "test", "utterance"])
    audio = emotion[(emotion["branch"] == "audio") & (emotion["model"] == "trained")]
    assert list(audio["utterance"]) == list(split.loc[split["split"] == "test", "utterance"])
    assert audio.filter(like="p_").astype(float).sum(axis=1).to_numpy() == pytest.approx(1)
    assert set(vad["utterance"]) == set(text.loc[text["split"] == "test", "utterance"])
    assert set(vad["utterance"]) <= tested  # the text branch holds out what the audio branch does
    score = clone.json("metrics/evaluation.json")["audio"]["emotion"]["trained"]["accuracy"]
    assert score == pytest.approx((audio["truth"] == audio["prediction"]).mean())


def test_pictures_and_curves_are_drawn(clone):
    figures = {path.stem for path in (clone.folder / "metrics/figures").iterdir()}
    # six utterances are too few for speakers and for t-SNE
    expected = {
        "baselines",
        "confusion_audio",
        "confusion_forest",
        "reliability",
        "risk_coverage",
        "training",
        "vad_text",
    }
    assert figures == expected
    report = (clone.folder / "metrics/report.html").read_text()
    assert "UAR" in report
    audio, text = (re.search(f"<dt>{name}</dt><dd>(.*?)</dd>", report)[1] for name in ("Audio", "Text"))
    assert "2 heads, blocks 3 and 4 fine-tuned" in audio
    assert "fine-tuned" in text
    log = (clone.folder / "metrics/text/log.csv").read_text().splitlines()
    assert log[0] == "epoch,train_loss,val_loss,val_mse,val_rmse,val_mae"
    assert len(log) == 2
    assert (clone.folder / "data/encoded/shards/00000/frames.npy").exists()  # the trainable blocks read them


def test_shortcuts_are_measured_of_every_utterance_and_scored_on_the_test_set(clone):
    measures, split = clone.csv("data/shortcuts/measures.csv"), clone.csv("data/splits/audio.csv")
    assert measures["utterance"].tolist() == split["utterance"].tolist()
    seconds = clone.csv("data/audio/manifest.csv").set_index("utterance")["seconds"].astype(float)
    assert measures["duration"].astype(float).tolist() == pytest.approx(
        seconds[measures["utterance"]].tolist(), abs=1e-4
    )
    table, scores = clone.csv("data/shortcuts/shortcuts.csv"), clone.json("metrics/shortcuts.json")
    told = table[table["value"] != ""]
    values = dict(zip(told["name"], told["value"].astype(float), strict=True))
    assert {name: own["uar"] for name, own in scores.items()} == pytest.approx(values, abs=1e-5)
    assert set(table["n"].astype(int)) == {(split["split"] == "test").sum()}


def test_every_branch_is_tested_by_the_published_rules(clone):
    table, counts = clone.csv("data/fairness.csv"), clone.json("metrics/fairness.json")
    assert set(table["branch"]) == {"audio", "text", "forest"}
    judged = table[table["passed"] != ""]
    for branch, tests in counts.items():
        for test, own in tests.items():
            rows = judged[(judged["branch"] == branch) & (judged["test"] == test)]
            assert (own["passed"], own["tested"]) == ((rows["passed"] == "True").sum(), len(rows))
    assert sum(own["tested"] for tests in counts.values() for own in tests.values()) == len(judged)
    assert (table.loc[table["passed"] == "", "note"] != "").all()  # what does not apply says why


def test_nothing_is_tested_under_conditions_unless_a_suite_is_named(clone):
    assert clone.json("metrics/robustness.json") == clone.json("metrics/export.json") == {}
    assert clone.csv("data/robustness/answers.csv").empty


def test_dvc_shows_plots_and_metrics_without_a_complaint(clone):
    shown = clone.run("dvc", "plots", "show", "-o", str(clone.folder.parent / "plots"))
    assert "WARNING" not in shown.stdout + shown.stderr
    assert "audio.emotion.trained.uar" in clone.run("dvc", "metrics", "show").stdout


def test_nothing_reruns_when_nothing_changed_and_git_is_told_of_all(clone):
    assert clone.repro() == []
    untracked = clone.run("git", "status", "--porcelain", "--untracked-files=all").stdout.splitlines()
    assert not [line for line in untracked if line.startswith("??") and "metrics/" not in line]
    assert "up to date" in clone.run("dvc", "status").stdout


PUBLIC = ["models/audio", "models/text", "models/forest.skops", "metrics/report.html"]  # as docs/sharing.md has it


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
    ({"forest__trees": 7}, ["fit_forest", "evaluate", "fairness", "plot"]),
    ({"text__dropout": 0.2}, TEXT),
    ({"evaluate__anchors__valence__low": ["Terrible."]}, ["predict_text", "evaluate", "fairness", "plot"]),
    ({"plot__dpi": 50}, ["plot"]),
]


@pytest.mark.parametrize(("changes", "expected"), TABLE, ids=lambda v: next(iter(v)) if isinstance(v, dict) else "")
def test_only_what_a_parameter_touches_reruns(clone, changes, expected):
    assert clone.repro(**changes) == expected


def test_a_docstring_reruns_the_fingerprints_and_nothing_else(clone):
    file = clone.folder / "emopipe/io/errors.py"
    file.write_text(file.read_text().replace('"""Errors', '"""All errors', 1))
    assert clone.outdated() == ["code"]
    assert clone.repro() == ["code"]


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
    made = ["encode", "finetune_audio", "finetune_text", "cross_fit_text"]  # again: forced, nothing is restored
    again = clone.run("dvc", "repro", "--single-item", "--force", *made)
    assert "finetune_text: epoch 1/" in again.stderr
    assert "finetune_audio: heads: epoch 1/" not in again.stderr  # it was done when the run was killed
    assert clone.ran(again) == made
    assert clone.repro() == []
    assert (clone.folder / "dvc.lock").read_bytes() == lock
    assert not (clone.folder / ".checkpoints").exists()
