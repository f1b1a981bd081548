"""Every classification loss against its formula in NumPy, and what it is there for."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from torch.nn import functional as F

from emopipe.audio.parameters import ClassificationLoss, Train
from emopipe.io.errors import UserError
from emopipe.losses.classification import (
    LOSSES,
    BalancedSoftmax,
    CrossEntropy,
    DistributionalRanking,
    Focal,
    classification_loss,
)
from emopipe.losses.regression import REGRESSION_LOSSES
from emopipe.training.parameters import RegressionLoss
from helpers.paths import ROOT

TRAIN = Train.load(path=ROOT / "params.yaml")
KINDS = ["cross_entropy", "focal", "balanced_softmax", "distributional_ranking"]
COUNTS = {"anger": 127, "happiness": 71, "neutral": 79, "sadness": 6}
WEIGHTS = ["none", "inverse", "balanced", [0.5, 1.0, 3.0, 2]]
TWICE = ("balanced_softmax", "balanced")  # corrects for the same thing twice
EVEN = [0.25, 1.0, 4.0, 2.0]  # weights that float32 holds exactly


def batch(size=7, seed=0, scale=1.0):
    """Return float64 scores and class numbers; every class occurs."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(4), rng.integers(0, 4, size - 4)])
    return torch.tensor(scale * rng.normal(size=(size, 4))), torch.tensor(labels)


def loss_of(kind, weights="none", smoothing=0.0, gamma=2.0, counts=COUNTS):
    values = {"class_weights": weights, "label_smoothing": smoothing, "focal_gamma": gamma}
    loss = TRAIN.loss.model_copy(update={"classification": kind})
    return classification_loss(counts, TRAIN.model_copy(update={**values, "loss": loss}))


def test_every_loss_that_may_be_chosen_is_there():
    assert set(LOSSES) == set(get_args(ClassificationLoss))
    assert set(REGRESSION_LOSSES) == set(get_args(RegressionLoss))


def expected_weights(kind):
    n = np.array(list(COUNTS.values()), float)
    by_name = {"none": np.ones(4), "inverse": (1 / n) / (1 / n).sum(), "balanced": n.sum() / (4 * n)}
    return by_name[kind] if isinstance(kind, str) else np.array(kind)


def expected_loss(kind, z, y, w, smoothing, gamma):
    """Return the loss pair by pair, in plain loops."""
    if kind == "distributional_ranking":
        return expected_ranking(z, y, w, smoothing)
    if kind == "balanced_softmax":
        z = z + np.log(list(COUNTS.values()))
    total = 0.0
    for scores, label in zip(z, y, strict=True):
        p = softmax(scores)
        for c in range(4):
            target = (1 - smoothing) * (c == label) + smoothing / 4
            hardness = (1 - p[c]) ** gamma if kind == "focal" else 1
            total -= target * w[c] * hardness * np.log(p[c])
    return total / w[y].sum()


def expected_ranking(z, y, w, smoothing):
    s = expit(z)
    true = [(s[i, y[i]], w[y[i]]) for i in range(len(y))]
    wrong = [(s[i, c], w[y[i]]) for i in range(len(y)) for c in range(4) if c != y[i]]
    above = np.average([v for v, _ in true], weights=[m * np.exp(-v) for v, m in true])
    below = np.average([v for v, _ in wrong], weights=[m * np.exp(v * np.log(3.5) / 0.1) for v, m in wrong])
    return 4 / 6 * np.log(1 + np.exp(6 * (below - above + 0.5 * (1 - smoothing))))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("size", [4, 11])
def test_a_classification_loss_equals_its_formula(kind, weights, smoothing, size):
    z, y = batch(size)
    expected = expected_loss(kind, z.numpy(), y.numpy(), expected_weights(weights), smoothing, 1.5)
    assert loss_of(kind, weights, smoothing, 1.5)(z, y).item() == pytest.approx(expected, rel=1e-6)


@given(st.integers(0, 10_000), st.sampled_from([None, EVEN]), st.floats(0, 0.9), st.floats(0, 30))
@settings(max_examples=30, deadline=None)
def test_cross_entropy_is_pytorchs_and_focal_without_focus_the_same(seed, weights, smoothing, scale):
    z, y = batch(seed=seed, scale=scale)
    tensor = None if weights is None else torch.tensor(weights, dtype=torch.float64)
    expected = F.cross_entropy(z, y, weight=tensor, label_smoothing=smoothing)
    chosen = "none" if weights is None else weights
    assert loss_of("cross_entropy", chosen, smoothing)(z, y) == expected
    torch.testing.assert_close(loss_of("focal", chosen, smoothing, gamma=0.0)(z, y), expected)


@given(st.integers(0, 10_000), st.floats(0, 3), st.floats(0.1, 2))
@settings(max_examples=30, deadline=None)
def test_focus_takes_loss_away_and_most_from_the_easy(seed, gamma, more):
    z, y = batch(seed=seed)
    less, most = (loss_of("focal", gamma=g)(z, y) for g in (gamma, gamma + more))
    assert most < less
    easy, hard = (torch.tensor([[margin, 0.0, 0.0, 0.0]], dtype=torch.float64) for margin in (3.0, -3.0))
    first = torch.tensor([0])
    kept = [loss_of("focal", gamma=more)(z, first) / F.cross_entropy(z, first) for z in (easy, hard)]
    assert kept[0] < kept[1] < 1


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(0, 10_000), st.sampled_from(["none", EVEN]), st.permutations(range(4)), st.floats(0.1, 10))
@settings(max_examples=10, deadline=None)
def test_names_and_order_do_not_matter_nor_the_scale_of_the_weights(kind, seed, weights, order, scale):
    z, y = batch(seed=seed)
    value = loss_of(kind, weights, 0.1)(z, y)
    # Class order[k] becomes class k. A loss that takes a class for its neighbour would notice.
    labels = list(COUNTS)
    counts = {labels[c]: COUNTS[labels[c]] for c in order}
    renamed = weights if weights == "none" else [scale * weights[c] for c in order]
    number = torch.tensor(np.argsort(order))
    torch.testing.assert_close(
        loss_of(kind, renamed, 0.1, counts=counts)(z[:, order], number[y]), value, rtol=1e-6, atol=0
    )
    shuffled = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(loss_of(kind, weights, 0.1)(z[shuffled], y[shuffled]), value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", ["none", EVEN], ids=str)
def test_the_gradients_are_those_of_the_loss(kind, weights):
    z, y = batch(4)
    assert torch.autograd.gradcheck(lambda x: loss_of(kind, weights, 0.1, 0.7)(x, y), z.requires_grad_())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("size", [1, 4])
def test_the_certain_have_finite_gradients(kind, gamma, size):
    z = (1e4 * torch.eye(4))[:size].requires_grad_()
    for labels in (torch.arange(size), (torch.arange(size) + 1) % 4):
        loss = loss_of(kind, "balanced", 0.1, gamma)(z, labels)
        (gradient,) = torch.autograd.grad(loss, z)
        assert loss.isfinite() and gradient.isfinite().all()


@pytest.mark.parametrize("kind", ["cross_entropy", "focal", "balanced_softmax"])
def test_smoothing_makes_certainty_cost(kind):
    y, counts = torch.arange(4), dict.fromkeys(COUNTS, 10)
    losses = [loss_of(kind, "none", 0.1, counts=counts)(scale * torch.eye(4), y).item() for scale in (3.0, 30.0)]
    assert losses[0] < losses[1]


def test_smoothing_shrinks_the_margin_of_distributional_ranking():
    z, y = batch()
    plain, smooth = (loss_of("distributional_ranking", "none", e)(z, y).item() for e in (0.0, 0.2))

    def gap(loss, margin):  # P₋ − P₊, from the loss
        return np.log(np.expm1(6 / 4 * loss)) / 6 - margin

    assert gap(plain, 0.5) == pytest.approx(gap(smooth, 0.4))


def test_a_weight_counts_an_utterance_as_that_many():
    z, y = batch()
    repeated = torch.tensor([i for i, label in enumerate(y.tolist()) for _ in range([1, 2, 3, 1][label])])
    for kind in KINDS:
        weighted = loss_of(kind, [1, 2, 3, 1])(z, y)
        torch.testing.assert_close(weighted, loss_of(kind)(z[repeated], y[repeated]))


def test_balanced_softmax_of_equal_counts_is_cross_entropy():
    z, y = batch()
    balanced = BalancedSoftmax(torch.full((4,), 30), CrossEntropy(None, 0.1))
    torch.testing.assert_close(balanced(z, y), CrossEntropy(None, 0.1)(z, y))


@pytest.fixture
def one_thread():
    """Hundreds of tiny steps: on a busy machine a second thread is waited for more than it works."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trained(loss, x, y):
    """Return the scores of a linear layer trained on x by plain gradient descent."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(x.shape[1], int(y.max()) + 1)
    for _ in range(200):
        gradients = torch.autograd.grad(loss(layer(x), y), list(layer.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(layer.parameters(), gradients, strict=True):
                parameter -= gradient
    return layer(x).detach()


@pytest.mark.parametrize(
    ("kind", "weights"),
    [(kind, weights) for kind in KINDS for weights in ("none", "balanced") if (kind, weights) != TWICE],
)
@pytest.mark.usefixtures("one_thread")
def test_every_loss_ranks_the_true_class_first_where_it_can(kind, weights):
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(4), [40, 20, 10, 5])
    x = torch.tensor(4 * np.eye(4)[y] + 0.5 * rng.normal(size=(75, 4)), dtype=torch.float32)
    counts = dict(zip(COUNTS, np.bincount(y).tolist(), strict=True))
    scores = trained(loss_of(kind, weights, 0.05, counts=counts), x, torch.tensor(y))
    assert (scores.argmax(1).numpy() == y).all()
    if kind == "distributional_ranking":  # across utterances too: one threshold parts true pairs from wrong ones
        true = torch.tensor(np.eye(4)[y], dtype=torch.bool)
        assert scores[true].min() > scores[~true].max()


@pytest.mark.usefixtures("one_thread")
def test_balanced_softmax_predicts_as_if_classes_were_equally_frequent():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [1_900, 100])
    x = torch.tensor(rng.normal(size=(2_000, 1)) + 2.0 * y[:, None] - 1, dtype=torch.float32)
    counts = {"neutral": 1_900, "anger": 100}
    recall_per_class = {}
    for kind in ("cross_entropy", "balanced_softmax"):
        found = trained(loss_of(kind, counts=counts), x, torch.tensor(y)).argmax(1).numpy()
        recall_per_class[kind] = (found[y == 1] == 1).mean()
    # Two unit normals at −1 and 1: at equal frequency the border is 0, and 84 % of a class lie on its side.
    assert recall_per_class["cross_entropy"] < 0.5
    assert recall_per_class["balanced_softmax"] == pytest.approx(0.84, abs=0.06)


@pytest.mark.parametrize(
    ("kind", "weights", "counts", "message"),
    [
        ("cross_entropy", [1.0, 2.0], COUNTS, "train.class_weights: 2 weights for 4 classes.*anger, happiness"),
        ("focal", [1, 1, -0.5, 1], COUNTS, "train.class_weights: -0.5 for neutral: not a positive number"),
        ("focal", [0, 1, 1, 1], COUNTS, "train.class_weights: 0 for anger.*data.audio.labels"),
        ("focal", [1, 1, float("nan"), 1], COUNTS, "train.class_weights: nan for neutral"),
        ("cross_entropy", [1, float("inf"), 1, 1], COUNTS, "train.class_weights: inf for happiness"),
        ("cross_entropy", "balanced", COUNTS | {"neutral": 0}, "train.class_weights: balanced.* no utterance of neut"),
        ("cross_entropy", "inverse", COUNTS | {"anger": 0}, "train.class_weights: inverse.* no utterance of anger"),
        (
            "balanced_softmax",
            "none",
            COUNTS | {"anger": 0, "sadness": 0},
            "train.loss.classification: balanced.* of anger, sadness;",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_their_key(kind, weights, counts, message):
    with pytest.raises(UserError, match=message):
        loss_of(kind, weights, counts=counts)


@pytest.mark.parametrize("kind", ["cross_entropy", "focal", "distributional_ranking"])
@pytest.mark.parametrize("weights", ["none", EVEN], ids=str)
def test_a_class_without_training_utterances_stops_nothing_that_does_not_count(kind, weights):
    z, y = batch()
    chosen = y != 2
    assert loss_of(kind, weights, counts=COUNTS | {"neutral": 0})(z[chosen], y[chosen]).isfinite()


@pytest.mark.parametrize("loss", [
    CrossEntropy(torch.ones(4)), Focal(torch.ones(4), 0.1, 2.0), DistributionalRanking(torch.ones(4), 0.1),
    BalancedSoftmax(torch.ones(4), CrossEntropy(torch.ones(4))),
], ids=lambda loss: type(loss).__name__)  # fmt: skip
def test_weights_follow_the_scores_to_their_device(loss):
    scores, labels = torch.zeros(5, 4, device="meta"), torch.zeros(5, dtype=torch.int64, device="meta")
    assert loss(scores, labels).device.type == "meta"
