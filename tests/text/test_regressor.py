"""The text regressor on encoders of several layouts: which blocks learn how fast, by which loss, in which precision."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss
from transformers import (
    AlbertConfig,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    ElectraConfig,
    ModernBertConfig,
    MPNetConfig,
    RobertaConfig,
)

from emopipe.io.errors import UserError
from emopipe.losses.regression import REGRESSION_LOSSES
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.scoring.regression import concordance_cc
from emopipe.text import saving
from emopipe.text.encoders import build
from emopipe.text.fitting import fit
from emopipe.text.prediction import predict
from emopipe.text.regressor import Regressor, blocks_of
from emopipe.training.fitting import Run
from emopipe.training.optimiser import adamw
from emopipe.training.tracking import Tracker
from helpers.tiny_text import CPU, SMALL, fitted, sentences, settings

DECAY = 0.5
LAYERS = 3
WIDE = SMALL | {"vocab_size": 30, "num_hidden_layers": LAYERS}
LAYOUTS = {  # configuration; where the blocks are; something that lies below them
    "bert": (partial(BertConfig, **WIDE), "encoder.layer", "embeddings.word_embeddings.weight"),
    "roberta": (partial(RobertaConfig, **WIDE), "encoder.layer", "embeddings.position_embeddings.weight"),
    "distilbert": (
        partial(DistilBertConfig, vocab_size=30, dim=16, n_layers=LAYERS, n_heads=2, hidden_dim=32),
        "transformer.layer",
        "embeddings.LayerNorm.weight",
    ),
    "deberta": (
        partial(
            DebertaV2Config,
            **WIDE,
            relative_attention=True,
            position_buckets=4,
            pos_att_type=["p2c", "c2p"],
            norm_rel_ebd="layer_norm",
        ),
        "encoder.layer",
        "encoder.rel_embeddings.weight",
    ),
    "electra": (partial(ElectraConfig, **WIDE, embedding_size=8), "encoder.layer", "embeddings_project.weight"),
    "mpnet": (partial(MPNetConfig, **WIDE), "encoder.layer", "encoder.relative_attention_bias.weight"),
    "modernbert": (partial(ModernBertConfig, **WIDE, pad_token_id=0), "layers", "embeddings.tok_embeddings.weight"),
}


def model(layout: str, decay: float = DECAY) -> Regressor:
    torch.manual_seed(0)
    encoder = build(LAYOUTS[layout][0]())
    given = settings("any", layer_decay=decay, learning_rate=0.01, weight_decay=0.0, dropout=0.0)
    return Regressor(encoder, given).train()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_block_moves_by_its_share_of_the_rate(layout: str):
    """The first step of Adam is as long as the learning rate, wherever there is a gradient."""
    regressor, (_, place, low) = model(layout), LAYOUTS[layout]
    before = {name: tensor.detach().clone() for name, tensor in regressor.named_parameters()}
    tokens = torch.randint(5, 30, (4, 7))
    outputs = regressor(input_ids=tokens, attention_mask=torch.ones_like(tokens))
    mse_loss(outputs, torch.rand(4, 3) * 4 - 2).backward()
    optimiser = adamw(regressor.parameter_groups(), regressor.settings)
    optimiser.step()
    moved = {name: (tensor - before[name]).abs().max().item() for name, tensor in regressor.named_parameters()}
    blocks = [[n for n in moved if n.startswith(f"encoder.{place}.{i}.")] for i in range(LAYERS)]
    for i, names in enumerate(blocks):
        assert max(moved[name] for name in names) == pytest.approx(0.01 * DECAY ** (LAYERS - 1 - i), rel=1e-2)
    assert moved["head.1.weight"] == pytest.approx(0.01 * regressor.settings.head_scale, rel=1e-2)
    assert moved[f"encoder.{low}"] == pytest.approx(0.01 * DECAY**LAYERS, rel=1e-2)
    learning = [id(p) for group in optimiser.param_groups for p in group["params"]]
    assert sorted(learning) == sorted(id(p) for p in regressor.parameters())  # each of them once


def test_without_decay_the_encoder_has_one_rate_whatever_the_layout():
    given = settings("any", layer_decay=1.0, head_scale=7.0)
    encoder, head = Regressor(build(AlbertConfig(**WIDE)), given).parameter_groups()
    assert (encoder.scale, head.scale) == (1.0, 7.0)


def test_an_encoder_whose_blocks_are_not_clear_is_refused():
    with pytest.raises(UserError, match=r"text\.layer_decay: which are the 3 blocks of a albert encoder"):
        blocks_of(build(AlbertConfig(**WIDE)))  # it has one block, used three times


@pytest.mark.parametrize("loss", ["mse", "ccc", "mse_ccc"])
def test_the_loss_is_that_of_standardised_ratings(tiny: Path, tmp_path: Path, loss: str):
    trained, tracker = fitted(tiny, tmp_path, loss=loss)
    rows = sentences(60, 1)
    dev = rows[rows["split"] == "dev"]
    gold, predicted = dev[list(DIMENSIONS)].to_numpy(), predict(trained, dev["transcript"], CPU)
    targets = trained.targets
    ccc = np.mean([1 - concordance_cc(g, p) for g, p in zip(gold.T, predicted.T, strict=True)])  # whatever the unit
    mse = mse_loss(*(targets.transform(torch.from_numpy(values)) for values in (predicted, gold))).item()
    row = tracker.history[trained.epochs[0] - 1]
    assert row["dev/loss"] == pytest.approx({"mse": mse, "ccc": ccc, "mse_ccc": mse + ccc}[loss], rel=1e-4)
    assert row["dev/mse"] == pytest.approx(((gold - predicted) ** 2).mean(), rel=1e-4)
    assert row["dev/rmse"] == pytest.approx(row["dev/mse"] ** 0.5)
    assert row["dev/ccc"] == max(row["dev/ccc"] for row in tracker.history)


@pytest.mark.parametrize(("refit", "with_dev"), [("none", False), ("best_epoch", True), ("all_epochs", True)])
def test_a_refit_is_trained_on_dev_too(tiny: Path, tmp_path: Path, refit: str, with_dev: bool):
    rows = sentences(60, 1)
    train, dev, test = (rows[rows["split"] == name] for name in ("train", "dev", "test"))
    outputs = []
    for i, ratings in enumerate((dev, dev.assign(arousal=1.0))):
        one = settings(tiny, refit=refit, epochs=1)
        trained = fit(train, ratings, one, Run(CPU, Tracker("test"), tmp_path / str(i)))
        assert trained.rows == len(train) + with_dev * len(dev)
        outputs.append(predict(trained, list(test["transcript"]), CPU))
    assert np.array_equal(*outputs) == (not with_dev)


def test_refit_all_epochs_is_the_last_epoch_and_best_epoch_that_of_dev(tiny: Path, tmp_path: Path):
    best = [fitted(tiny, tmp_path / str(refit), refit=refit, epochs=3)[0].epochs for refit in ("none", "best_epoch")]
    assert best[0] == best[1]
    assert fitted(tiny, tmp_path / "all", refit="all_epochs", epochs=3)[0].epochs == [3]


def test_bfloat16_is_of_the_training_alone(tiny: Path, tmp_path: Path):
    whole, _ = fitted(tiny, tmp_path / "whole")
    trained, tracker = fitted(tiny, tmp_path / "one", precision="bfloat16")
    again, _ = fitted(tiny, tmp_path / "two", precision="bfloat16")
    weights = [dict(one.model.named_parameters()) for one in (trained, again, whole)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not all(torch.equal(weights[0][name], weights[2][name]) for name in weights[0])
    assert {p.dtype for p in weights[0].values()} == {torch.float32}
    texts = sentences(10, 2)["transcript"]
    predicted = predict(trained, texts, CPU)
    np.testing.assert_allclose(predicted, predict(whole, texts, CPU), atol=0.02)
    saving.save(trained, tmp_path / "saved")
    np.testing.assert_array_equal(predict(saving.load(tmp_path / "saved"), texts, CPU), predicted)
    assert trained.epochs == [1 + int(np.argmax([row["dev/ccc"] for row in tracker.history]))]


@pytest.mark.parametrize("loss", ["ccc", "mse_ccc"])
def test_a_correlation_is_that_of_the_whole_batch_in_micro_batches(loss: str):
    regressor, gradients = model("roberta"), []
    for module in regressor.modules():  # each part would draw its own random numbers
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    tokens, vad = torch.randint(5, 30, (7, 6)), torch.rand(7, 3) * 4 + 1
    for regressor.micro_batch in (None, 2):
        regressor.zero_grad()
        outputs = regressor(input_ids=tokens, attention_mask=torch.ones_like(tokens))
        REGRESSION_LOSSES[loss](outputs, vad).backward()
        gradients.append([p.grad.clone() for p in regressor.parameters()])
    for whole, parts in zip(*gradients, strict=True):
        torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)
