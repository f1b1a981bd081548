"""The audio model: pooling, mixes and losses against independent formulas; training that trains."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from benchmarks.networks import FAMILIES
from emopipe.audio import saving
from emopipe.audio.batches import Collate, examples
from emopipe.audio.fitting import fit
from emopipe.audio.layers import Concat, ConcatMeans, Weighted
from emopipe.audio.model import trainable_blocks
from emopipe.audio.pooling import AttentiveStatistics, Mean
from emopipe.audio.zero_shot import zero_shot
from emopipe.backbones.loading import load as load_backbone
from emopipe.encoding import store
from emopipe.io.errors import UserError
from emopipe.losses.classification import CrossEntropy, class_weights
from emopipe.training.data import predict
from emopipe.training.devices import set_up
from emopipe.training.fitting import Run
from emopipe.training.tracking import Tracker
from emopipe.training.trainer import ByLength
from helpers.clips import clip
from helpers.noises import RUNTIME, encoded, model_settings, train_settings


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


def test_weighted_pooling_of_means_is_the_mean_of_the_weighted_frames():
    torch.manual_seed(0)
    layers = torch.randn(4, 9, 6)  # layers, frames, dim
    mix = Weighted(4, 6)
    torch.nn.init.normal_(mix.weights)
    frames = torch.einsum("l,lfd->fd", mix.weights.softmax(0), layers)
    statistics = torch.stack([layers.mean(1), layers.std(1, correction=0)])
    torch.testing.assert_close(mix(statistics[None])[0], frames.mean(0))


def test_concat_means_takes_the_means_of_the_blocks_and_no_more():
    data = np.random.default_rng(0).normal(3, 2, (50, 2, 3, 4)).astype(np.float32)
    mix = ConcatMeans(3, 4)
    mix.fit([data])
    blocks = np.concatenate([data[:, 0, 1], data[:, 0, 2]], 1)
    wanted = (blocks - blocks.mean(0)) / blocks.std(0)
    np.testing.assert_allclose(mix(torch.from_numpy(data)).numpy(), wanted, atol=1e-5)
    assert mix.out == 8


def test_concat_standardises_on_what_it_was_fitted_to():
    data = np.random.default_rng(0).normal(3, 2, (50, 2, 3, 4)).astype(np.float32)
    data[:, 0, 0, 0] = 7  # a constant is centred and not divided by zero
    mix = Concat(3, 4)
    mix.fit([data])
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
def data(tmp_path, folder):
    """Return a store of loud and soft noise, and its split."""
    return encoded(folder, tmp_path)


def trained(data, folder, where: Path, **changes):
    opened, rows = data
    device = set_up(RUNTIME, 1)
    settings = model_settings(folder, **changes)
    # A correlation needs a batch to be seen in; of four utterances it says next to nothing.
    rated = {"batch_size": 12, "epochs": 24} if settings.task == "regression" else {}
    training = train_settings(refit="none", mixup=0.0, **rated)
    parts = {name: rows[rows["split"] == name] for name in ("train", "dev", "test")}
    tracker = Tracker("test")
    run = Run(device, tracker, where / "checkpoints")
    made = fit(parts["train"], parts["dev"], settings, training, opened, run)
    sets = {name: examples(part["utterance"], made.task.targets(part), opened) for name, part in parts.items()}
    return made, sets, Collate(opened, settings), tracker, made.epochs[0], device


@pytest.mark.parametrize("sampling", ["utterance", "corpus"])
def test_corpora_are_drawn_alike_where_that_is_asked_for(data, folder, tmp_path, monkeypatch, sampling):
    opened, rows = data
    rows = rows.assign(corpus=np.where(np.arange(len(rows)) % 5, "large", "small"))
    taken = []

    class Spied(ByLength):
        def __iter__(self):
            order = list(super().__iter__())
            taken.append(order)
            return iter(order)

    monkeypatch.setattr("emopipe.training.trainer.ByLength", Spied)
    train, dev = (rows[rows["split"] == name] for name in ("train", "dev"))
    training = train_settings(refit="all_epochs", mixup=0.0, epochs=2, sampling=sampling)
    run = Run(set_up(RUNTIME, 1), Tracker("test"), tmp_path / "checkpoints")
    fit(train, dev, model_settings(folder, features="frozen"), training, opened, run)
    assert len(taken) == 4
    for order, drawn_from in zip(taken, [train, train, *[pd.concat([train, dev])] * 2], strict=True):
        corpora = Counter(drawn_from["corpus"].iloc[row] for row in order)
        own = drawn_from["corpus"].value_counts()
        assert corpora.total() == len(drawn_from)
        if sampling == "corpus":
            assert abs(corpora["small"] - corpora["large"]) <= 1 < own["large"] - own["small"]
        else:
            assert dict(corpora) == own.to_dict()


@pytest.mark.parametrize(
    ("task", "features", "layer_pooling"),
    [
        ("classification", "finetuned", "concat"), ("classification", "frozen", "concat"),
        ("classification", "frozen", "weighted"), ("classification", "both", "concat"),
        ("classification", "both", "concat_means"),
        ("classification", "both", "weighted"), ("regression", "finetuned", "concat"), ("regression", "both", "concat"),
    ],
)  # fmt: skip
def test_training_learns_and_a_saved_model_predicts_the_same(data, folder, tmp_path, task, features, layer_pooling):
    head = "linear" if features == "both" else "norm_mlp"
    changes = {"task": task, "targets": ["arousal", "valence"], "features": features, "layer_pooling": layer_pooling}
    changes |= {"head": head}
    made, sets, collate, tracker, best, device = trained(data, folder, tmp_path, **changes)
    assert tracker.history[-1]["train/loss"] < tracker.history[0]["train/loss"]
    score = f"dev/{made.task.metric}"
    assert tracker.history[best - 1][score] == max(row[score] for row in tracker.history) > 0.7
    outputs = predict(made.model, sets["test"], collate, 5, device)
    for name in ("a", "b"):
        saving.save(made, tmp_path / name)
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()
    again = saving.load(tmp_path / "a")
    assert again.task.config() == made.task.config()
    np.testing.assert_array_equal(predict(again.model, sets["test"], collate, 5, device), outputs)


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "whisper"])
def test_every_family_learns_and_predicts_the_same_in_any_batch(folders, tmp_path, family):
    path = folders(family)
    data = encoded(path, tmp_path)
    made, sets, collate, tracker, _, device = trained(data, path, tmp_path, layer_pooling="weighted")
    assert tracker.history[-1]["train/loss"] < tracker.history[0]["train/loss"]
    saving.save(made, tmp_path / "model")
    again = saving.load(tmp_path / "model").model
    assert {k for k, v in again.named_parameters() if v.requires_grad} == {
        k for k, v in made.model.named_parameters() if v.requires_grad
    }
    alone, together = (predict(again, sets["test"], collate, size, device) for size in (1, 12))
    np.testing.assert_allclose(alone, together, atol=1e-5)
    np.testing.assert_allclose(predict(made.model, sets["test"], collate, 5, device), together, atol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_weighted_pooling_of_a_store_is_that_of_the_frames(folders, tmp_path, family):
    backbone = load_backbone(str(folders(family)))
    with torch.no_grad():
        inputs = backbone.front_end(clip())
        states = [inputs[None], *backbone.blocks.states(inputs[None], None)]
        layers = torch.stack([*states[:-1], backbone.blocks.norm(states[-1])])[:, 0, backbone.blocks.extra_tokens :]
    mix = Weighted(backbone.block_count + 1, backbone.dim)
    torch.nn.init.normal_(mix.weights)
    expected = torch.einsum("l,lfd->fd", mix.weights.softmax(0), layers).mean(0)
    statistics = backbone.encode([clip()], 0)[0].statistics
    torch.testing.assert_close(mix(statistics[None])[0], expected, atol=1e-5, rtol=0)
    store.write(
        tmp_path,
        [store.StoredEncoding("c/u", store.ORIGINAL, inputs.numpy(), statistics.numpy())],
        backbone.dim,
        len(layers),
        {},
    )
    opened = store.Store(tmp_path)
    stored = torch.from_numpy(opened.statistics(opened.rows(["c/u"])))
    torch.testing.assert_close(mix(stored)[0], expected, atol=2e-3, rtol=0)  # float16


def test_layer_statistics_alone_need_no_frames(data, folder, tmp_path):
    (tmp_path / "encoded/shards/00000/frames.npy").unlink()
    fresh = store.Store(tmp_path / "encoded"), data[1]
    *_, tracker, _, _ = trained(fresh, folder, tmp_path, features="frozen", trainable_layers=0)
    assert tracker.history[-1]["train/loss"] < tracker.history[0]["train/loss"]


def test_zero_shot_adds_up_the_outputs_of_an_emotion(folders, tmp_path):
    opened, rows = encoded(folders("emotion2vec"), tmp_path)
    labels = ["anger", "boredom", "sadness"]  # no output stands for boredom
    utterances = rows["utterance"][:5]
    found = zero_shot(opened, utterances, labels)
    head = load_backbone(str(folders("emotion2vec"))).head
    for row, utterance in zip(found, utterances, strict=True):
        scores = head.weight.numpy() @ opened.statistics(opened.rows([utterance]))[0, 0, -1] + head.bias.numpy()
        expected = np.exp([scores[0], -np.inf, scores[6]])
        np.testing.assert_allclose(row, expected / expected.sum(), atol=1e-5)
    assert zero_shot(opened, utterances, ["boredom", "calm"]) is None


def test_a_backbone_without_a_classifier_has_no_zero_shot(data):
    assert zero_shot(data[0], ["c/u0"], ["anger", "sadness"]) is None


def test_the_same_seed_gives_the_same_weights(data, folder, tmp_path):
    first, second = (trained(data, folder, tmp_path)[0].model.state_dict() for _ in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_prediction_does_not_depend_on_its_batch(data, folder, tmp_path):
    made, sets, collate, _, _, device = trained(data, folder, tmp_path)
    alone, together = (predict(made.model, sets["test"], collate, size, device) for size in (1, 12))
    np.testing.assert_allclose(alone, together, atol=1e-5)


def test_the_parameter_groups_have_their_own_rates_and_the_rest_stays(data, folder, tmp_path):
    (model,) = trained(data, folder, tmp_path)[0].model.members
    pretrained = trainable_blocks(model_settings(folder), data[0].provenance)

    def moved(part, before):
        pairs = zip(part.parameters(), before.parameters(), strict=True)
        return max((p - q).abs().max().item() for p, q in pairs)

    lower, upper = (moved(model.blocks.blocks[i], pretrained.blocks[i]) for i in (0, 1))
    assert 0 < 3 * lower < upper


def test_changed_backbone_weights_are_noticed(data, folder):
    provenance = data[0].provenance | {"backbone": data[0].provenance["backbone"] | {"sha256": "another"}}
    with pytest.raises(UserError, match="the weights changed since they encoded the corpus"):
        trainable_blocks(model_settings(folder), provenance)
