"""Text encoders: embedded, local and on the hub, and never on wrong weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import DistilBertConfig, DistilBertModel, RobertaConfig, RobertaModel, T5Config

from emopipe.io.errors import UserError
from emopipe.text import catalogue, encoders
from emopipe.text.batches import Collate, examples
from emopipe.text.prediction import predict
from emopipe.text.saving import load as load_saved
from emopipe.text.saving import save
from helpers.tiny_text import CPU, SMALL, fitted


def test_the_embedded_encoder_is_loaded_from_its_package():
    pretrained = encoders.load("all-MiniLM-L6-v2")
    assert pretrained.origin.sha256 == encoders.EMBEDDED_SHA256
    assert pretrained.encoder.config._attn_implementation == "sdpa"
    assert {p.dtype for p in pretrained.encoder.parameters()} == {torch.float32}


def test_every_weight_comes_from_the_file(tiny: Path):
    stored = load_file(tiny / "model.safetensors")
    loaded = encoders.load(str(tiny)).encoder.state_dict()
    assert loaded
    assert all(torch.equal(tensor, stored[f"bert.{name}"]) for name, tensor in loaded.items())


def test_a_roberta_without_pooler_and_old_names_of_norms_load(tiny: Path, tmp_path: Path):
    torch.manual_seed(0)
    folder = tmp_path / "roberta"
    network = RobertaModel(RobertaConfig(vocab_size=40, max_position_embeddings=70, pad_token_id=0, **SMALL))
    network.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny / name, folder)
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor.half()
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    save_file(state, folder / "model.safetensors")
    pretrained = encoders.load(str(folder))
    expected = network.state_dict()
    assert all(torch.equal(t, expected[n].half().float()) for n, t in pretrained.encoder.state_dict().items())
    batch = Collate(pretrained.tokenizer)(examples(["great day", "sad"], pretrained.tokenizer, 32).examples)
    assert batch["input_ids"].shape == (2, 4)


def spoilt(tiny: Path, how: str) -> None:
    weights = tiny / "model.safetensors"
    state, key = load_file(weights), "bert.encoder.layer.0.output.dense.weight"
    match how:
        case "missing":
            del state[key]
        case "renamed":
            state[key.replace("dense", "denes")] = state.pop(key)
        case "misshaped":
            state[key] = torch.zeros(3, 3)
    save_file(state, weights)
    match how:
        case "pointer":
            weights.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
        case "truncated":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "absent":
            weights.unlink()
        case "no vocabulary":
            for name in ("vocab.txt", "tokenizer.json"):
                (tiny / name).unlink()
        case "other family":
            T5Config(vocab_size=30).save_pretrained(tiny)
        case "wrong type":
            (tiny / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": "wide"}))


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", r"missing: encoder\.layer\.0\.output\.dense\.weight"),
        ("renamed", r"unexpected: encoder\.layer\.0\.output\.denes\.weight"),
        ("misshaped", r"misshaped: encoder\.layer\.0\.output\.dense\.weight \[3, 3\] instead of \[16, 32\]"),
        ("pointer", "Git LFS pointer"),
        ("truncated", "not a whole file of tensors"),
        ("absent", "no weights"),
        ("no vocabulary", "tokenizer knows 5 tokens"),
        ("other family", "t5 is not an encoder of whole texts"),
        ("wrong type", "not a text encoder .*hidden_size"),
    ],
)
def test_wrong_weights_are_refused(tiny: Path, how: str, message: str):
    spoilt(tiny, how)
    with pytest.raises(UserError, match=message):
        encoders.load(str(tiny))


def test_an_encoder_that_cannot_be_had_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"text\.encoder: someone/nothing .* run `hf download someone/nothing"):
        encoders.load("someone/nothing")
    with pytest.raises(UserError, match=r"text\.encoder: no folder at \./nothing"):
        encoders.load("./nothing")


def test_max_tokens_beyond_the_encoder_are_refused(tiny: Path):
    pretrained = encoders.load(str(tiny))
    encoders.check_tokens(64, pretrained)
    for wrong in (2, 65):
        with pytest.raises(UserError, match=rf"text\.max_tokens: {wrong}, but .* reads 3 to 64 tokens"):
            encoders.check_tokens(wrong, pretrained)


def with_tokenizer(tiny: Path, folder: Path, **limits: int) -> Path:
    """Add the BERT tokenizer to a network of another family, as many published repositories do."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny / name, folder)
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | limits))
    return folder


def test_a_roberta_cannot_use_all_its_positions(tiny: Path, tmp_path: Path):
    folder = tmp_path / "roberta"
    config = RobertaConfig(vocab_size=40, max_position_embeddings=20, pad_token_id=1, type_vocab_size=1, **SMALL)
    RobertaModel(config).save_pretrained(folder)
    pretrained = encoders.load(str(with_tokenizer(tiny, folder, model_max_length=512)))
    assert encoders.longest(pretrained.tokenizer, pretrained.encoder) == 18
    full = examples(["day " * 40], pretrained.tokenizer, 18).examples
    assert torch.isfinite(pretrained.encoder(**Collate(pretrained.tokenizer)(full)).last_hidden_state).all()
    with pytest.raises(UserError, match="reads 3 to 18 tokens"):
        encoders.check_tokens(19, pretrained)


def test_segments_go_to_those_encoders_that_have_them(tiny: Path, tmp_path: Path):
    assert "token_type_ids" in examples(["day"], encoders.load(str(tiny)).tokenizer, 32).examples[0].tokens
    folder = tmp_path / "distilbert"
    DistilBertModel(DistilBertConfig(vocab_size=40, dim=16, n_layers=2, n_heads=2, hidden_dim=32)).save_pretrained(
        folder
    )
    trained, _ = fitted(with_tokenizer(tiny, folder), tmp_path, epochs=1)
    assert trained.tokenizer("day").keys() == {"input_ids", "attention_mask"}
    expected = predict(trained, ["a great day"], CPU)
    save(trained, tmp_path / "saved")
    assert (predict(load_saved(tmp_path / "saved"), ["a great day"], CPU) == expected).all()


def test_an_encoder_has_one_name_whatever_it_is_called():
    for key, entry in catalogue.ENTRIES.items():
        assert catalogue.find(key) == catalogue.find(entry.repository) == (key, entry)
    assert encoders.load("sentence-transformers/all-MiniLM-L6-v2").origin == encoders.load("all-MiniLM-L6-v2").origin
    assert catalogue.find("someone/model")[0] == "someone/model"
