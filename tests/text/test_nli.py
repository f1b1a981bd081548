"""Zero-shot by natural language inference: the published formula on published layouts, and never on wrong weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    T5Config,
    pipeline,
)

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.text import nli
from helpers.mnli import FAMILIES, HYPOTHESES, LEVELS, LIMIT, MNLI, TEXTS, VOCABULARY, written
from helpers.tiny_text import CPU


def ratings(folder: Path, texts: list[str] = TEXTS) -> np.ndarray:
    return nli.ratings(texts, nli.load(str(folder)), HYPOTHESES, CPU)


@pytest.mark.parametrize("family", FAMILIES)
def test_ratings_are_those_of_the_zero_shot_pipeline(family: str, tmp_path: Path):
    folder = written(tmp_path, family, ("entailment", "neutral", "contradiction") if family == "bert" else MNLI)
    found = ratings(folder)
    pipe = pipeline("zero-shot-classification", model=str(folder), tokenizer=nli.load(str(folder)).tokenizer)
    for text, row in zip(TEXTS, found, strict=True):
        for name, value in zip(DIMENSIONS, row, strict=True):
            answer = pipe(text, list(LEVELS[name].values()), hypothesis_template="{}")
            share = dict(zip(answer["labels"], answer["scores"], strict=True))
            low, middle, high = (share[hypothesis] for hypothesis in LEVELS[name].values())
            assert value == pytest.approx(1 * low + 3 * middle + 5 * high, abs=1e-4)
    assert ((found >= 1) & (found <= 5)).all()
    assert np.ptp(found) > 0.5  # texts differ


def test_a_rating_does_not_depend_on_its_batch(tmp_path: Path):
    folder = written(tmp_path)
    alone = np.concatenate([ratings(folder, [text]) for text in TEXTS])
    np.testing.assert_allclose(ratings(folder), alone, atol=1e-5)


@pytest.mark.parametrize("model_max_length", [LIMIT, 10**30])  # or what the position table holds
def test_of_a_long_text_the_end_is_not_read_and_of_a_hypothesis_nothing_is_left_out(
    model_max_length: int, tmp_path: Path
):
    folder = written(tmp_path, model_max_length=model_max_length)
    begin = "the film was awful " * 6
    first, second, third = ratings(folder, [begin + "today", begin + "happy great", "great " + begin])
    assert (first == second).all()
    assert (first != third).any()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("LABEL_0", "LABEL_1", "LABEL_2"), "LABEL_0, LABEL_1, LABEL_2, and not which of them is entailment"),
        (("entailment", "neutral", "Entail"), "and not which of them is entailment"),
        (("negative", "positive"), "negative, positive, and not"),
    ],
)
def test_a_model_that_does_not_name_entailment_is_refused(labels: tuple[str, ...], message: str, tmp_path: Path):
    with pytest.raises(UserError, match=message):
        nli.load(str(written(tmp_path, labels=labels)))


def test_two_labels_are_enough(tmp_path: Path):
    assert nli.load(str(written(tmp_path, labels=("not_entailment", "entailment")))).label == 1


@pytest.mark.parametrize("how", ["left over", "old names", "half"])
def test_what_published_checkpoints_carry_is_no_error(how: str, tmp_path: Path):
    folder = written(tmp_path)
    expected = ratings(folder)
    weights = folder / "model.safetensors"
    state = load_file(weights)
    match how:
        case "left over":
            state["roberta.pooler.dense.weight"] = torch.zeros(16, 16)
            state["roberta.pooler.dense.bias"] = torch.zeros(16)
            state["roberta.embeddings.position_ids"] = torch.arange(LIMIT)[None]
        case "old names":
            state = {
                name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
                for name, tensor in state.items()
            }
        case "half":
            state = {name: tensor.half() for name, tensor in state.items()}
    save_file(state, weights)
    np.testing.assert_allclose(ratings(folder), expected, atol=0.05 if how == "half" else 0)


def test_tied_embeddings_are_stored_once(tmp_path: Path):
    folder = written(tmp_path, "bart")
    stored = [name for name in load_file(folder / "model.safetensors") if "shared" in name or "embed_tokens" in name]
    assert len(stored) == 1
    network = nli.load(str(folder)).network
    assert network.model.encoder.embed_tokens.weight is network.model.decoder.embed_tokens.weight
    assert torch.equal(network.model.shared.weight, load_file(folder / "model.safetensors")[stored[0]])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no head", r"missing: classifier\.dense\.weight, classifier\.dense\.bias"),
        ("another head", r"misshaped: classifier\.out_proj\.weight \[2, 16\] instead of \[3, 16\]"),
        ("renamed", r"unexpected: roberta\.encoder\.layer\.0\.output\.denes\.weight"),
        ("truncated", "not a whole file of tensors"),
        ("absent", "no weights"),
        ("other family", "the weights do not fit T5ForSequenceClassification"),
        ("broken", "not a text encoder with its tokenizer"),
    ],
)
def test_wrong_weights_are_refused(how: str, message: str, tmp_path: Path):
    folder = written(tmp_path)
    weights = folder / "model.safetensors"
    state, key = load_file(weights), "roberta.encoder.layer.0.output.dense.weight"
    match how:
        case "no head":
            state = {name: tensor for name, tensor in state.items() if not name.startswith("classifier")}
        case "another head":
            state["classifier.out_proj.weight"] = torch.zeros(2, 16)
        case "renamed":
            state[key.replace("dense", "denes")] = state.pop(key)
    save_file(state, weights, metadata={"format": "pt"})
    match how:
        case "truncated":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "absent":
            weights.unlink()
        case "other family":
            config = T5Config(vocab_size=len(VOCABULARY), d_model=16, d_ff=32, num_layers=1, num_heads=2, d_kv=8)
            config.id2label = dict(enumerate(MNLI))
            config.save_pretrained(folder)
        case "broken":
            (folder / "config.json").write_text(json.dumps({"model_type": "roberta", "hidden_size": "wide"}))
    with pytest.raises(UserError, match=message):
        nli.load(str(folder))


def test_a_model_that_cannot_be_had_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=r"evaluate\.nli: someone/nothing .* run `hf download someone/nothing"):
        nli.load("someone/nothing")
