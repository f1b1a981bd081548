"""Backbones never run on wrong weights, never run code from a file, and leave everything else alone."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from emopipe.backbones.loading import load
from emopipe.io.errors import UserError
from helpers.paths import ROOT


@pytest.fixture
def copy(folder, tmp_path):
    """Return a copy of the folder that a test may damage."""
    return shutil.copytree(folder, tmp_path / "copy")


KEY = "model.encoder.layers.1.fc1.weight"


def damage(copy, change):
    state = load_file(copy / "model.safetensors")
    change(state)
    save_file(state, copy / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop(KEY), r"missing: layers\.1\.fc1\.weight"),
        (lambda s: s.update({KEY + "s": s.pop(KEY)}), r"(?s)missing: layers\.1\.fc1\.weight.*unexpected: .*weights"),
        (lambda s: s.update({KEY: s[KEY][:, :-1].contiguous()}), r"misshaped: .*fc1\.weight \[64, 31\] instead of"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_key(copy, change, message):
    damage(copy, change)
    with pytest.raises(UserError, match=message):
        load(str(copy))


@pytest.mark.parametrize("shard", ["../elsewhere.safetensors", "{there}/elsewhere.safetensors"])
def test_an_index_names_no_file_of_another_folder(copy, shard):
    elsewhere = (copy / "model.safetensors").rename(copy.parent / "elsewhere.safetensors")
    shard = shard.format(there=elsewhere.parent)
    index = {"weight_map": dict.fromkeys(load_file(elsewhere), shard)}
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=rf"model\.safetensors\.index\.json: names '{shard}', which is not a file of"):
        load(str(copy))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": 1}}', "\0\xff"])
def test_a_broken_index_is_refused_by_name(copy, content):
    (copy / "model.safetensors.index.json").write_text(content, encoding="latin-1")
    with pytest.raises(UserError, match=r"model\.safetensors\.index\.json: not an index of shards"):
        load(str(copy))


def test_broken_files_are_refused_by_name(copy):
    weights = copy / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"model\.safetensors: not a whole file of tensors"):
        load(str(copy))
    weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(UserError, match="a Git LFS pointer, not the weights"):
        load(str(copy))
    weights.unlink()
    with pytest.raises(UserError, match="no weights: neither"):
        load(str(copy))


@pytest.mark.parametrize("family", ["whisper", "wavlm"])
@pytest.mark.parametrize("content", [None, "{", '{"sampling_rate": 8000, "feature_extractor_type": "x"}'])
def test_a_missing_or_wrong_preprocessor_is_named(folders, tmp_path, family, content):
    copied = shutil.copytree(folders(family), tmp_path / "copy")
    (copied / "preprocessor_config.json").unlink()
    if content:
        (copied / "preprocessor_config.json").write_text(content)
    with pytest.raises(UserError, match=r"preprocessor_config\.json(:| cannot be read)"):
        load(str(copied))


class Code:
    """A pickle that would run code if anybody loaded it."""

    def __reduce__(self):
        return print, ("pickled code ran",)


def test_a_pickle_with_code_is_refused_and_does_not_run(copy, capsys):
    (copy / "model.safetensors").unlink()
    torch.save({"model.encoder.conv1.weight": torch.zeros(1), "x": Code()}, copy / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model\.bin: not a whole file of tensors"):
        load(str(copy))
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Code()))
    with pytest.raises(UserError, match=r"pytorch_model\.bin: not a whole file of tensors"):
        load(str(copy))
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("whisper_huge", "'whisper_huge' is not known; choose one of whisper_tiny_en"),
        ("./nowhere", "no folder at ./nowhere"),
    ],
)
def test_unknown_names_are_refused(name, message):
    with pytest.raises(UserError, match=message):
        load(name)


def test_a_hub_that_cannot_be_reached_is_named_with_what_to_do(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"nobody/nothing is not in .* and could not be fetched"):
        load("nobody/nothing")


def test_an_unsupported_architecture_is_named(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "resnet"}))
    with pytest.raises(
        UserError,
        match=r"model_type 'resnet' is not supported; supported: data2vec-audio, ",
    ):
        load(str(tmp_path))


@pytest.fixture
def funasr(folders, tmp_path):
    """Return a copy of an emotion2vec in FunASR's layout that a test may damage."""
    return shutil.copytree(folders("emotion2vec"), tmp_path / "funasr")


def damage_funasr(folder, change):
    state = torch.load(folder / "model.pt", weights_only=True)["model"]
    change(state)
    torch.save({"model": state}, folder / "model.pt")


BLOCK = "modality_encoders.AUDIO.context_encoder.blocks.2.mlp.fc1.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop(BLOCK), rf"model\.pt: the weights do not fit Emotion2vec\n  missing: {BLOCK}"),
        (lambda s: s.update({BLOCK + "s": s.pop(BLOCK)}), rf"(?s)missing: {BLOCK}.*unexpected: {BLOCK}s"),
        (lambda s: s.update({BLOCK: s[BLOCK][:, 1:]}), r"misshaped: .*fc1\.weight \[128, 31\] instead of \[128, 32\]"),
        (lambda s: s.pop("proj.bias"), "names 9 outputs, the classifier in model.pt has 9 and no proj.bias"),
        (lambda s: s.update({"proj.weight": s["proj.weight"][:5]}), "names 9 outputs, the classifier .* has 5"),
    ],
)
def test_an_emotion2vec_that_funasr_would_load_in_silence_is_refused_by_key(funasr, change, message):
    damage_funasr(funasr, change)
    with pytest.raises(UserError, match=message):
        load(str(funasr))


@pytest.mark.parametrize("name", ["model.pt", "config.yaml", "configuration.json", "tokens.txt"])
def test_a_missing_file_of_an_emotion2vec_is_named(funasr, name):
    (funasr / name).unlink()
    with pytest.raises(UserError, match=rf"{name}: no such file"):
        load(str(funasr))


def test_broken_files_of_an_emotion2vec_are_named(funasr, capsys):
    weights = funasr / "model.pt"
    whole = weights.read_bytes()
    for content, message in (
        (whole[: len(whole) // 2], "not a whole file of tensors"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer"),
        (pickle.dumps(Code()), "not a whole file of tensors"),
        (pickle.dumps([1]), "not a whole file of tensors|not tensors by name"),
    ):
        weights.write_bytes(content)
        with pytest.raises(UserError, match=rf"model\.pt: .*({message})"):
            load(str(funasr))
    torch.save({"model": {"x": Code()}}, weights)
    with pytest.raises(UserError, match=r"model\.pt: not a whole file of tensors"):
        load(str(funasr))
    assert "ran" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature_encoder_spec": "__import__('os').system('echo ran')"}, "is more than lists of numbers"),
        ({"feature_encoder_spec": "9**9**9"}, "is more than lists of numbers"),
        ({"learned_alibi": True}, "learned_alibi: True; every published emotion2vec has False"),
        ({"conv_pos_depth": "many"}, "FunASR cannot build this network"),
    ],
)
def test_a_configuration_runs_no_code_and_is_refused_by_key(funasr, change, message, capfd):
    config = yaml.safe_load((funasr / "config.yaml").read_text())
    config["model_conf"]["modalities"]["audio"] |= change
    (funasr / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(UserError, match=rf"config\.yaml: .*{message}"):
        load(str(funasr))
    assert not [line for line in capfd.readouterr().out.splitlines() if line == "ran"]


def test_loading_an_emotion2vec_leaves_everything_else_as_it_was(folders):
    code = f"""
import logging, os, random, sys
import numpy, torch
from emopipe.backbones.loading import load
random.seed(3); numpy.random.seed(3); torch.manual_seed(3); torch.set_num_threads(1)
def state():
    root = logging.getLogger()
    return (random.getstate(), tuple(numpy.random.get_state()[1]), tuple(torch.get_rng_state().tolist()),
            torch.get_num_threads(), list(root.handlers), root.level, dict(os.environ))
load({str(folders("whisper"))!r}), load({str(folders("wavlm"))!r})
assert "funasr" not in sys.modules
random.seed(3); numpy.random.seed(3); torch.manual_seed(3)
before = state()
load({str(folders("emotion2vec"))!r})
assert "funasr" in sys.modules
assert state() == before
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
