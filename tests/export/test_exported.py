"""A model that the pipeline has trained, as a stage and as the command exports it."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from huggingface_hub import ModelCard

from emopipe.commands.main import main
from emopipe.io.errors import UserError
from emopipe.recognition.speech import Recognizer
from helpers.small_corpus import SMALL, train_small, write_params
from stages import export as stage


@pytest.fixture(scope="module")
def pipeline(small_corpus, folder):
    """Return the folder of a pipeline with a small trained model."""
    train_small(small_corpus, folder, {"model.ensemble_size": 2, "train.epochs": 2})
    return small_corpus


def exported(monkeypatch, pipeline, target, *words: str) -> dict:
    """Export by the command, and return the report."""
    with contextlib.chdir(pipeline):
        monkeypatch.setattr(sys, "argv", ["emopipe", "export", "--output", str(target), *words])
        main()
    return json.loads((target / "export.json").read_text())


def made(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_stage_writes_a_file_and_what_two_runs_share(pipeline):
    with contextlib.chdir(pipeline):
        write_params(pipeline, SMALL)
        stage.main()
        assert json.loads(stage.METRICS.read_text()) == {} and made(stage.FOLDER).keys() == {"export.json"}
        write_params(pipeline, SMALL | {"export.precision": "float16"})
        found = []
        for _ in range(2):
            stage.main()
            found.append(made(stage.FOLDER) | {"metrics": stage.METRICS.read_bytes()})
    assert found[0] == found[1] and found[0].keys() == {"model.onnx", "export.json", "metrics"}
    report = json.loads(found[0]["metrics"])
    assert found[0]["metrics"] == found[0]["export.json"] and report["precision"] == "float16"
    assert report["compared_on"] == "the test set of data/splits/audio.csv" and report["recordings"] == 6
    assert not {"seconds_per_second", "threads"} & report.keys()


def test_a_folder_for_transformers(pipeline, tmp_path, monkeypatch):
    target = tmp_path / "exported"
    report = exported(monkeypatch, pipeline, target, "--to", "huggingface")
    assert report["largest_difference"] < 5e-4 and report["changed_labels"] == 0 and report["precision"] == "float32"
    names = {"README.md", "config.json", "export.json", "model.safetensors", "modeling_emopipe.py"}
    assert made(target).keys() == names | {"preprocessor_config.json"}
    assert len({path.stat().st_mode for path in target.iterdir()}) == 1
    card = ModelCard.load(target / "README.md")
    assert card.data.pipeline_tag == "audio-classification" and card.data.library_name == "transformers"
    assert 'pipeline("audio-classification", "OWNER/NAME", top_k=None, trust_remote_code=True)' in card.text
    assert "synthetic" in card.text and "no ground for a decision about a person" in card.text
    assert str(pipeline) not in card.text + (target / "config.json").read_text()
    with pytest.raises(SystemExit, match="error: --precision int8: what is written for transformers is in float32"):
        exported(monkeypatch, pipeline, target, "--to", "huggingface", "--precision", "int8")


def test_a_folder_without_code_where_a_class_of_the_library_is_the_model(small_corpus, folders, tmp_path, monkeypatch):
    place = tmp_path / "repository"
    shutil.copytree(small_corpus, place)
    linear = {"model.features": "finetuned", "model.head": "linear", "model.ensemble_size": 1, "train.epochs": 1}
    train_small(place, folders("wav2vec2"), linear | {"model.trainable_layers": 1})
    target = tmp_path / "exported"
    report = exported(monkeypatch, place, target, "--to", "huggingface")
    assert report["mean_difference"] < 5e-3
    assert made(target).keys() == {
        "README.md", "config.json", "export.json", "model.safetensors", "preprocessor_config.json",
    }  # fmt: skip
    config = json.loads((target / "config.json").read_text())
    assert config["architectures"] == ["Wav2Vec2ForSequenceClassification"] and "auto_map" not in config
    card = ModelCard.load(target / "README.md")
    assert "trust_remote_code" not in card.text and "cut longer ones, which the class does not" in card.text


def test_what_does_not_answer_alike_leaves_no_folder(pipeline, tmp_path, monkeypatch):
    from emopipe.export import hugging_face

    def broken(recognizer, shared, own=hugging_face._own):
        model = own(recognizer, shared)
        model.config.calibration_temperature *= 2
        return model

    monkeypatch.setattr(hugging_face, "_own", broken)
    with contextlib.chdir(pipeline), pytest.raises(UserError, match="exported: not written: on the test set of"):
        hugging_face.export(Recognizer.load(device="cpu"), tmp_path / "exported", None)
    assert not list(tmp_path.iterdir())


def test_a_folder_for_audonnx(pipeline, tmp_path, monkeypatch):
    target = tmp_path / "exported"
    exported(monkeypatch, pipeline, target, "--to", "audonnx")
    content = yaml.safe_load((target / "model.yaml").read_text())
    labels = json.loads((pipeline / "models/audio/config.json").read_text())["labels"]
    (about,) = content.values()
    assert about == {"path": "model.onnx", "labels": {"probabilities": labels}, "transform": None}
    audonnx = pytest.importorskip("audonnx", reason="audonnx is not installed")
    rows = pd.read_csv(pipeline / "data/splits/audio.csv")
    recording = pipeline / "data/audio" / f"{rows.loc[rows['split'] == 'test', 'utterance'].iloc[0]}.flac"
    samples, rate = soundfile.read(recording, dtype="float32")
    found = audonnx.load(str(target))(samples[:16_000], rate)
    assert found.shape[-1] == len(labels) and np.isclose(found.sum(), 1, atol=1e-5)
