"""`emopipe export` writes a file that answers as the pipeline does, or none, and says which."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import soundfile
import soxr
import torch
from sklearn.metrics import balanced_accuracy_score
from tokenizers import Tokenizer

from emopipe.commands.main import main
from emopipe.text import saving
from emopipe.text.saving import Trained
from emopipe.training.networks import Ensemble, TargetScaler
from helpers.commands import run_command
from helpers.small_corpus import train_small
from helpers.tiny_text import regressor

MODEL = {"model.output_layer": 1, "model.trainable_layers": 1, "model.ensemble_size": 2, "train.epochs": 1}


@pytest.fixture(scope="module")
def pipeline(small_corpus, folder):
    """Return a folder with a trained audio model, its test set and what the pipeline predicts of it."""
    train_small(small_corpus, folder, MODEL)
    return small_corpus


@pytest.fixture
def export(monkeypatch, capsys):
    return lambda *words: run_command(monkeypatch, capsys, "export", "--to", "onnx", *words)


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def report(folder):
    return json.loads((folder / "export.json").read_text())


@pytest.fixture(scope="module")
def exported(pipeline, tmp_path_factory):
    """Return a folder with what was exported where the pipeline is, and what was printed."""
    where = tmp_path_factory.mktemp("exported")
    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(pipeline):
        patch.setattr("sys.argv", ["emopipe", "export", "--to", "onnx", "--output", str(where)])
        main()
    return where


def test_the_file_answers_as_the_pipeline_predicts(pipeline, exported):
    predicted = pd.read_csv(pipeline / "data/predicted/audio/emotion.csv")
    predicted = predicted[predicted["model"] == "trained"].set_index("utterance").filter(regex="^p_")
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    labels = json.loads(session.get_modelmeta().custom_metadata_map["labels"])
    for utterance, chances in predicted.iterrows():
        samples, _ = soundfile.read(pipeline / f"data/audio/{utterance}.flac", dtype="float32")
        (found,) = session.run(["probabilities"], {"samples": samples[None]})
        np.testing.assert_allclose(found[0], chances[[f"p_{label}" for label in labels]], atol=1e-4)
    assert len(predicted) == report(exported)["recordings"] > 5


def test_the_report_tells_what_was_compared(pipeline, exported):
    found = report(exported)
    assert names(exported) == ["export.json", "model.onnx"]
    assert found["compared_on"] == "the test set of data/splits/audio.csv"
    assert found["largest_difference"] <= 1e-4 and found["changed_labels"] == found["differ_by_more"] == 0
    predicted = pd.read_csv(pipeline / "data/predicted/audio/emotion.csv").query("model == 'trained'")
    uar = pytest.approx(balanced_accuracy_score(predicted["truth"], predicted["prediction"]))
    assert found["uar"] == {"emopipe": uar, "exported": uar}
    assert found["megabytes"] == pytest.approx((exported / "model.onnx").stat().st_size / 1e6, abs=0.01)
    assert set(found["seconds_per_second"]) == {"emopipe", "exported"} and min(found["seconds_per_second"].values()) > 0
    assert (found["precision"], found["threads"]) == ("float32", torch.get_num_threads())


def test_the_file_says_what_it_is_made_from_and_not_for(pipeline, exported):
    told = onnxruntime.InferenceSession(exported / "model.onnx").get_modelmeta().custom_metadata_map
    config = json.loads((pipeline / "models/audio/config.json").read_text())
    assert json.loads(told["labels"]) == config["labels"] and told["task"] == "classification"
    assert (told["sampling_rate"], told["min_samples"], told["max_seconds"]) == ("16000", "400", "1.0")
    limits = json.loads(told["limits"])
    assert any("decision about a person" in limit for limit in limits)
    assert any("first 1 second" in limit for limit in limits) and any("synthesiser" in limit for limit in limits)
    assert "see the folder" in told["licence"] and "synthetic" in told["licence"]
    origin = json.loads(told["provenance"])["provenance"]["backbone"]
    assert origin["sha256"] == config["provenance"]["backbone"]["sha256"]
    assert origin["name"].startswith("…/")  # where it lies is nobody's business
    for path in (pipeline, config["provenance"]["backbone"]["name"]):
        assert str(path).encode() not in (exported / "model.onnx").read_bytes()


@pytest.mark.slow
def test_a_file_that_answers_otherwise_is_not_kept(pipeline, exported, export, tmp_path, monkeypatch):
    place = shutil.copytree(exported, tmp_path / "exported")
    (place / "model.onnx").write_bytes(b"of before")
    before = {name: (place / name).read_bytes() for name in names(place)}
    monkeypatch.setattr("emopipe.export.agreement.CLOSE", 0.0)
    code, out, err = export("--model", pipeline / "models/audio", "--output", place)
    assert code == 1 and not out and err.count("\n") <= 1
    where = "on the test set of data/splits/audio.csv"
    assert f"{place / 'model.onnx'}: not written: {where} it does not answer as the model does" in err
    assert "the largest difference of a probability is" in err and "UAR is" in err
    assert {name: (place / name).read_bytes() for name in names(place)} == before and len(before) == 2


@pytest.mark.slow
def test_int8_is_compared_on_recordings_of_any_kind_where_the_model_has_no_pipeline(pipeline, export, tmp_path):
    shutil.copytree(pipeline / "models/audio", tmp_path / "copied")
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for number, path in enumerate(sorted((pipeline / "data/audio/synthetic").rglob("*.flac"))[:12]):
        samples, _ = soundfile.read(path)
        stereo = soxr.resample(np.column_stack([samples, samples]), 16_000, 44_100)
        soundfile.write(recordings / f"{number}.wav", stereo, 44_100)
    soundfile.write(recordings / "silence.wav", np.zeros(9_000), 16_000)  # that emopipe does not answer
    words = ("--model", tmp_path / "copied", "--precision", "int8", "--output", tmp_path / "small")
    code, _, err = export(*words)
    assert code == 1 and "no data/splits/audio.csv and data/audio/manifest.csv beside it to compare on" in err
    assert "--verify" in err and not (tmp_path / "small").exists()
    code, out, err = export(*words, "--verify", recordings)
    assert code == 0, err
    assert out.startswith(f"{tmp_path / 'small/model.onnx'}: compared on {recordings}, the largest difference")
    found = report(tmp_path / "small")
    assert (found["recordings"], found["uar"]) == (12, None) and 0 < found["mean_difference"] < 0.01
    assert not (tmp_path / "metrics").exists()
    told = onnxruntime.InferenceSession(tmp_path / "small/model.onnx").get_modelmeta().custom_metadata_map
    assert "which ones is not known here" in told["licence"] and told["precision"] == "int8"


def test_a_text_regressor_comes_with_its_tokenizer(tiny, export, tmp_path):
    members = [regressor(tiny, max_tokens=8)[0] for _ in range(2)]
    with torch.no_grad():
        for member in members:
            member.head[1].weight.mul_(20)
    pretrained, scale = regressor(tiny)[1], TargetScaler([3.0, 2.5, 3.5], [0.5, 0.7, 0.9])
    settings = members[0].settings.model_copy(update={"ensemble_size": 2})
    trained = Trained(Ensemble(members).eval(), pretrained.tokenizer, settings, scale, pretrained.origin, [1, 1], 9)
    saving.save(trained, tmp_path / "models/text")
    texts = tmp_path / "texts.txt"
    lines = ["the day was great", "awful", "the " * 30, "", "zzz", "very sad news today"]  # no text, and no known word
    texts.write_text("\n".join(lines), encoding="utf-8")
    words = ("--model", tmp_path / "models/text", "--output", tmp_path / "out")
    code, _, err = export(*words)
    assert code == 1 and "no data/splits/text.csv beside it to compare on" in err
    code, _, err = export(*words, "--verify", texts)
    assert code == 0, err
    assert names(tmp_path / "out") == ["export.json", "model.onnx", "tokenizer.json"]
    found = report(tmp_path / "out")
    assert found["texts"] == 4 and found["largest_difference"] < 4e-4 and found["ccc"] is None
    session = onnxruntime.InferenceSession(tmp_path / "out/model.onnx")
    told = session.get_modelmeta().custom_metadata_map
    assert json.loads(told["targets"]) == ["valence", "arousal", "dominance"] and told["max_tokens"] == "8"

    tokenizer, heard = Tokenizer.from_file(str(tmp_path / "out/tokenizer.json")), lines[:3]
    encoded = pretrained.tokenizer(heard, truncation=True, max_length=8, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = scale.inverse_transform(trained.model(**encoded).numpy())
    assert np.ptp(expected, axis=0).max() > 0.1
    together = {name: encoded[name].numpy() for name in ("input_ids", "attention_mask")}
    np.testing.assert_allclose(session.run(["vad"], together)[0], expected, atol=1e-4)
    for text, vad in zip(heard, expected, strict=True):
        tokens = tokenizer.encode(text).ids
        assert tokens == pretrained.tokenizer(text, truncation=True, max_length=8)["input_ids"]
        alone = {"input_ids": np.array([tokens]), "attention_mask": np.ones((1, len(tokens)), np.int64)}
        np.testing.assert_allclose(session.run(["vad"], alone)[0][0], vad, atol=1e-4)


def test_what_is_missing_is_named(pipeline, export, tmp_path, monkeypatch):
    code, _, err = export("--output", tmp_path / "out", "--model", tmp_path)
    assert code == 1 and "no model here; run `dvc repro finetune_audio`" in err
    code, _, err = export("--output", tmp_path / "out", "--model", "./nowhere")
    assert code == 1 and "model: no folder at ./nowhere" in err
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    code, _, err = export("--output", tmp_path / "out", "--model", pipeline / "models/audio")
    assert code == 1 and "no package onnxscript; run `pip install 'emopipe[onnx]'`" in err
    assert not (tmp_path / "out").exists()
