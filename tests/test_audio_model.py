"""The audio model: pooling, mixes and losses against independent formulas; training that trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from test_backbones import clip, folder  # noqa: F401

from stages.audio import saving, store
from stages.audio.batches import Collate, items
from stages.audio.layers import Concat, Weighted
from stages.audio.losses import CrossEntropy, class_weights
from stages.audio.pooling import AttentiveStatistics, Mean
from stages.backbones.catalogue import load as load_backbone
from stages.contracts.errors import UserError
from stages.contracts.parameters import Model, Runtime, Scale, Train
from stages.scoring.classification import classification
from stages.training.device import prepare
from stages.training.fitting import Goal, fit, predict
from stages.training.tracking import Tracker

LABELS = ["high", "low"]
RUNTIME = Runtime(device="cpu", threads=1, workers=1)
SCALE = Scale(lower=0.01, upper=0.1)


def model_settings(backbone="x", **changes):
    values = {
        "backbone": str(backbone), "trainable_layers": 2, "features": "both", "layer_mix": "concat",
        "pooling": "attentive_statistics", "head": "norm_mlp", "hidden": 8, "head_layers": 1, "dropout": 0.1,
    }  # fmt: skip
    return Model(**(values | changes))


def train_settings(**changes):
    values = {
        "epochs": 12, "batch_size": 4, "learning_rate": 0.02, "weight_decay": 0.01, "warmup": 0.1,
        "schedule": "cosine", "max_grad_norm": 1.0, "patience": None, "seed": 1, "lr_scale": SCALE,
        "class_weights": "balanced",
    }  # fmt: skip
    return Train(**(values | changes))


def valid_of(lengths):
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]


def test_pooling_equals_the_formulas_on_each_clip_alone():
    torch.manual_seed(0)
    lengths, x = [7, 3, 1], torch.randn(3, 7, 5)
    attentive = AttentiveStatistics(5)
    mean, statistics = Mean(5)(x, valid_of(lengths)), attentive(x, valid_of(lengths))
    weight, bias, v = (p.detach().numpy() for p in attentive.parameters())
    for i, n in enumerate(lengths):
        h = x[i, :n].numpy().astype(np.float64)
        e = np.tanh(h @ weight.T + bias) @ v[0]
        alpha = (np.exp(e) / np.exp(e).sum())[:, None]
        mu = (alpha * h).sum(0)
        sigma = np.sqrt(np.maximum((alpha * h**2).sum(0) - mu**2, 1e-5))
        np.testing.assert_allclose(mean[i].detach(), h.mean(0), atol=1e-6)
        np.testing.assert_allclose(statistics[i].detach(), np.concatenate([mu, sigma]), atol=1e-5)


def test_the_weighted_mix_of_means_is_the_mean_of_the_weighted_frames():
    torch.manual_seed(0)
    layers = torch.randn(4, 9, 6)  # layers, frames, dim
    mix = Weighted(4, 6)
    torch.nn.init.normal_(mix.weights)
    frames = torch.einsum("l,lfd->fd", mix.weights.softmax(0), layers)
    statistics = torch.stack([layers.mean(1), layers.std(1, correction=0)])
    torch.testing.assert_close(mix(statistics[None])[0], frames.mean(0))


def test_concat_standardises_on_what_it_was_fitted_to():
    data = np.random.default_rng(0).normal(3, 2, (50, 2, 3, 4)).astype(np.float32)
    data[:, 0, 0, 0] = 7  # a constant is centred and not divided by zero
    mix = Concat(3, 4)
    mix.fit(data)
    out = mix(torch.from_numpy(data)).numpy()
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(0)[1:], 1, atol=1e-5)
    assert np.isfinite(out).all()


@pytest.mark.parametrize("kind", ["balanced", "inverse"])
def test_class_weights_follow_their_formulas(kind):
    counts = np.array([127, 71, 79, 62])
    weights = class_weights(counts, kind).numpy()
    if kind == "balanced":
        y = np.repeat(np.arange(4), counts)
        np.testing.assert_allclose(weights, compute_class_weight("balanced", classes=np.arange(4), y=y), rtol=1e-6)
    else:
        np.testing.assert_allclose(weights, (1 / counts) / sum(1 / counts), rtol=1e-6)
    assert class_weights(counts, "none") is None


def test_weighted_cross_entropy_equals_the_formula():
    rng = np.random.default_rng(0)
    scores, labels, weights = rng.normal(size=(6, 3)), rng.integers(0, 3, 6), np.array([0.5, 1.0, 3.0])
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    expected = -(weights[labels] * np.log(p[np.arange(6), labels])).sum() / weights[labels].sum()
    loss = CrossEntropy(torch.tensor(weights))(torch.tensor(scores), torch.tensor(labels))
    assert loss.item() == pytest.approx(expected, abs=1e-9)


@pytest.fixture
def data(tmp_path, folder):  # noqa: F811
    """Return a store of loud and soft noise, and its split."""
    backbone = load_backbone(str(folder))
    rows = [
        {"utterance": f"c/u{i}", "corpus": "c", "speaker": f"c/s{i % 6}", "emotion": LABELS[i % 2],
         "split": ["train", "train", "dev", "test"][(i // 2) % 4]}
        for i in range(48)
    ]  # fmt: skip

    def encodings():
        for i, row in enumerate(rows):
            noise = clip(4_000 + 700 * (i % 9), i)
            waveform = noise.cumsum(0) * 0.05 if row["emotion"] == "low" else noise
            frames, statistics = backbone.encode(waveform, 2)
            yield row["utterance"], frames.numpy(), statistics.numpy()

    encoding = {
        "backbone": backbone.origin.provenance(), "blocks": 3, "trainable_layers": 2, "dim": 32,
    }  # fmt: skip
    store.write(tmp_path / "encoded", encodings(), 32, 4, encoding)
    return store.Store(tmp_path / "encoded"), pd.DataFrame(rows)


def trained(data, folder, where: Path, **changes):  # noqa: F811
    opened, rows = data
    device = prepare(RUNTIME, 1)
    settings = model_settings(folder, **changes)
    sets = {name: items(rows[rows["split"] == name], LABELS, opened) for name in ("train", "dev", "test")}
    model = saving.build(settings, opened.encoding, LABELS)
    model.fit_layers(opened.statistics(e.utterance) for e in sets["train"].examples)
    tracker = Tracker("test")
    collate = Collate(opened, settings)
    best = fit(
        model, model.tiers(SCALE), sets["train"], sets["dev"], collate, CrossEntropy(None),
        lambda o, t: classification(np.array(LABELS)[t], np.array(LABELS)[o.argmax(1)]),
        Goal("uar", greater_is_better=True), train_settings(), device, tracker, where / "checkpoints",
    )  # fmt: skip
    return model, settings, sets, collate, tracker, best, device


@pytest.mark.parametrize(
    ("features", "layer_mix"),
    [("suffix", "concat"), ("layers", "concat"), ("layers", "weighted"), ("both", "concat"), ("both", "weighted")],
)
def test_training_learns_and_a_saved_model_predicts_the_same(data, folder, tmp_path, features, layer_mix):  # noqa: F811
    changes = {"features": features, "layer_mix": layer_mix, "head": "linear" if features == "both" else "norm_mlp"}
    model, settings, sets, collate, tracker, best, device = trained(data, folder, tmp_path, **changes)
    assert tracker.history[-1]["train/loss"] < tracker.history[0]["train/loss"]
    assert tracker.history[best - 1]["dev/uar"] == max(row["dev/uar"] for row in tracker.history) > 0.8
    assert not (tmp_path / "checkpoints").exists()
    outputs = predict(model, sets["test"], collate, 5, device)
    for name in ("a", "b"):
        saving.save(saving.Trained(model, settings, LABELS, data[0].encoding), {"epoch": best}, tmp_path / name)
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    again = saving.load(tmp_path / "a")
    np.testing.assert_array_equal(predict(again.model, sets["test"], collate, 5, device), outputs)


def test_the_same_seed_gives_the_same_weights(data, folder, tmp_path):  # noqa: F811
    first, second = (trained(data, folder, tmp_path)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_prediction_does_not_depend_on_its_batch(data, folder, tmp_path):  # noqa: F811
    model, _, sets, collate, _, _, device = trained(data, folder, tmp_path)
    alone, together = (predict(model, sets["test"], collate, size, device) for size in (1, 12))
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_the_tiers_learn_at_their_own_rates_and_the_rest_stays(data, folder, tmp_path):  # noqa: F811
    model, *_ = trained(data, folder, tmp_path)
    pretrained = saving.build(model_settings(folder), data[0].encoding, LABELS)

    def moved(part, before):
        pairs = zip(part.parameters(), before.parameters(), strict=True)
        return max((p - q).abs().max().item() for p, q in pairs)

    lower, upper = (moved(model.suffix.blocks[i], pretrained.suffix.blocks[i]) for i in (0, 1))
    assert 0 < 3 * lower < upper


def test_changed_backbone_weights_are_noticed(data, folder):  # noqa: F811
    encoding = data[0].encoding | {"backbone": {"sha256": "another"}}
    with pytest.raises(UserError, match="the weights changed since they encoded the corpus"):
        saving.build(model_settings(folder), encoding, LABELS)
