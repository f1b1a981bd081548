"""Every recipe trains: one epoch on the synthetic corpus, on small networks of the recipe's architecture."""

from __future__ import annotations

import json
import shlex
import shutil

import numpy as np
import pytest
import yaml

from emopipe.schemas import predictions
from helpers.paths import ROOT
from helpers.small_corpus import SMALL, train_small, write_params
from stages import encode, finetune_audio, split

RECIPES = sorted(path.name for path in (ROOT / "recipes").iterdir())
FAMILIES = {"wav2vec2": "wav2vec2", "wavlm": "wavlm"}  # by how the recipe's backbone begins


def choices(recipe: str) -> dict[str, object]:
    """Return a recipe's parameters by their full keys, as xargs hands them to ``dvc exp run``."""
    words = shlex.split((ROOT / "recipes" / recipe).read_text())
    assert words[::2] == ["-S"] * (len(words) // 2)
    return {key: yaml.safe_load(value) for key, value in (word.split("=", 1) for word in words[1::2])}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_trains(recipe, small_corpus, tmp_path, folders, monkeypatch, recwarn):
    folder = tmp_path / "repository"
    shutil.copytree(small_corpus, folder)
    given = choices(recipe)
    family = next(family for start, family in FAMILIES.items() if str(given["model.backbone"]).startswith(start))
    layers = given["model.trainable_layers"]
    small = {"model.backbone": str(folders(family)), "train.epochs": 1}
    write_params(folder, SMALL | given | small | {"model.trainable_layers": layers if layers == "all" else 1})
    monkeypatch.chdir(folder)
    for stage in (split, encode, finetune_audio):
        stage.main()
    warned = [str(warning.message) for warning in recwarn]
    assert [text for text in warned if "key_padding_mask" not in text] == []  # emopipe/backbones/wavlm.py says why
    config = json.loads((folder / "models/audio/config.json").read_text())
    changed = {"model.backbone", "model.trainable_layers", "train.epochs"}
    for group, name in (key.split(".", 1) for key in given.keys() - changed):
        if group in ("model", "train") and "." not in name:
            assert config[group][name] == given[f"{group}.{name}"]


def test_two_processes_encode_what_one_does(small_corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    found = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        shutil.copytree(small_corpus, folder)
        write_params(folder, SMALL | {"runtime.processes": processes, "model.features": "both"})
        monkeypatch.chdir(folder)
        encode.main()
        found.append({path.name: path.read_bytes() for path in (folder / "data/encoded").rglob("*.*")})
    assert found[0].keys() == {"encoding.json", "frames.npy", "index.csv", "statistics.npy"}
    assert found[0] == found[1]


def test_two_processes_tune_what_one_does(small_corpus, tmp_path, monkeypatch, folder):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    exact = {"model.dropout": 0.0, "model.ensemble_size": 2, "train.mixup": 0.0, "train.epochs": 1}
    tuned = {"model.features": "tuned_layers", "train.interpolation": 1, "train.tuning.epochs": 2}
    found = []
    for processes in (1, 2):
        where = tmp_path / str(processes)
        shutil.copytree(small_corpus, where)
        train_small(where, folder, exact | tuned | {"train.batch_size": 8, "runtime.processes": processes})
        assert json.loads((where / "models/audio/config.json").read_text())["tuning"]["share"] == 1
        found.append(predictions.read_emotion(where / predictions.AUDIO / "emotion.csv").filter(like="p_"))
    assert len(found[0]) == 6
    np.testing.assert_allclose(found[1], found[0], atol=0.01)  # Adam makes steps of roundings where gradients vanish
