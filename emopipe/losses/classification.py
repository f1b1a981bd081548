"""Classification losses: class scores [batch, classes] and class numbers [batch] to a scalar.

In the formulas z are the scores of an utterance, p = softmax(z) its probabilities, y its class, C the number of
classes, w_c the weight of a class (1 without weights), n_c its training utterances and ε the label smoothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from emopipe.audio.parameters import ClassificationLoss, Train
from emopipe.io.errors import UserError
from emopipe.training.data import Loss


def classification_loss(counts: Mapping[str, int], settings: Train) -> Loss:
    """Return the loss that ``train.loss.classification`` names.

    Args:
        counts: training utterances of every label, in the order of the class numbers
        settings: the ``train`` group, of which ``class_weights``, ``label_smoothing`` and ``focal_gamma`` act on it

    Raises:
        UserError: if the weights do not fit the labels, or a label has no training utterance where its number is
            needed
    """
    _check_weights(settings.class_weights, counts)
    return LOSSES[settings.loss.classification].build(counts, settings)


def class_weights(counts: np.ndarray, kind: str | Sequence[float]) -> Tensor | None:
    """Return one weight per class, or None for none.

    Args:
        counts: training utterances per class, n_c
        kind: ``balanced``: N / (C n_c); ``inverse``: (1 / n_c) / Σ (1 / n_k); ``none``; or the weights themselves
    """
    counts = counts.astype(np.float64)
    match kind:
        case "balanced":
            weights = counts.sum() / (len(counts) * counts)
        case "inverse":
            weights = (1 / counts) / (1 / counts).sum()
        case "none":
            return None
        case _:
            weights = kind
    return torch.tensor(weights, dtype=torch.float32)


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """Cross-entropy: Σ_i Σ_c q_ic w_c (−log p_ic) / Σ_i w_{y_i}, with targets q_ic = (1 − ε) [c = y_i] + ε / C.

    Label smoothing: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.
    """

    weights: Tensor | None
    smoothing: float = 0.0

    @classmethod
    def build(cls, counts: Mapping[str, int], settings: Train) -> CrossEntropy:
        """Return the loss with the settings that act on it; see :func:`classification_loss`."""
        return cls(_class_weights(counts, settings), settings.label_smoothing)

    def __call__(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of [batch, classes] scores for [batch] class numbers."""
        weights = None if self.weights is None else self.weights.to(scores)
        return F.cross_entropy(scores, labels, weight=weights, label_smoothing=self.smoothing)


@dataclass(frozen=True, eq=False)
class Focal:
    """Focal loss: Σ_i Σ_c q_ic w_c (1 − p_ic)^γ (−log p_ic) / Σ_i w_{y_i}, with the targets q of cross-entropy.

    Without smoothing this is the published −w_y (1 − p_y)^γ log p_y. With it, every class has the factor of its own
    probability: a common factor (1 − p_y)^γ would vanish, and the smoothing with it, where the model is most certain.
    The probabilities know no weights: a heavy class is no harder for being heavy. γ = 0 is cross-entropy.

    Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
    """

    weights: Tensor | None
    smoothing: float
    gamma: float

    @classmethod
    def build(cls, counts: Mapping[str, int], settings: Train) -> Focal:
        """Return the loss with the settings that act on it; see :func:`classification_loss`."""
        return cls(_class_weights(counts, settings), settings.label_smoothing, settings.focal_gamma)

    def __call__(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of [batch, classes] scores for [batch] class numbers."""
        weights = _weights(self.weights, scores)
        log_p = scores.log_softmax(1)
        # The slope of x^γ is infinite at 0 for γ < 1, and 1 − p does round to 0.
        rest = (1 - log_p.exp()).clamp_min(torch.finfo(scores.dtype).eps)
        classes = scores.shape[1]
        targets = (1 - self.smoothing) * F.one_hot(labels, classes) + self.smoothing / classes
        return (targets * weights * rest**self.gamma * -log_p).sum() / weights[labels].sum()


@dataclass(frozen=True, eq=False)
class BalancedSoftmax:
    """Cross-entropy of z + log n, for which the frequency of a class is no reason to predict it.

    Trained so, plain scores z are those of equally frequent classes: predictions use them as they are. The weights
    ``balanced`` and ``inverse`` would correct for the same thing once more, at the cost of the frequent classes. So
    does smoothing, a little: it holds the true class's z + log n at most log(1 + C (1 − ε) / ε) above another's, and
    where a class is as many times more frequent as that allows (for ε = 0.1 and C = 4, 37 times), nothing is left for
    its z.

    Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition", NeurIPS 2020.
    """

    counts: Tensor
    cross_entropy: CrossEntropy

    @classmethod
    def build(cls, counts: Mapping[str, int], settings: Train) -> BalancedSoftmax:
        """Return the loss with the settings that act on it; see :func:`classification_loss`."""
        _check_counts("train.loss.classification", "balanced_softmax", counts)
        return cls(torch.tensor(list(counts.values())), CrossEntropy.build(counts, settings))

    def __call__(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of [batch, classes] scores for [batch] class numbers."""
        return self.cross_entropy(scores + self.counts.to(scores).log(), labels)


# As the authors published them, https://github.com/idstcv/DR_loss
MARGIN = 0.5  # γ
POSITIVE_SPREAD = 1.0  # λ₊
NEGATIVE_SPREAD = 0.1 / math.log(3.5)  # λ₋
SHARPNESS = 6.0  # L
SCALE = 4.0  # τ


@dataclass(frozen=True, eq=False)
class DistributionalRanking:
    """Distributional ranking: the hardest wrong classes of a batch have to stay below its hardest true ones.

    A batch has one pair (i, c) for every utterance i and class c, with probability s_ic = sigmoid(z_ic). The pairs
    c = y_i are positive, all others negative. Of either kind the mean is taken under the worst distribution that is
    not too far from an even one,

        P₊ = Σ a_i s_{i,y_i},            a_i ∝ w_{y_i} exp(−s_{i,y_i} / λ₊)   over the positive pairs
        P₋ = Σ_{c ≠ y_i} b_ic s_ic,      b_ic ∝ w_{y_i} exp(s_ic / λ₋)        over the negative pairs

    and the loss is τ / L · log(1 + exp(L (P₋ − P₊ + (1 − ε) γ))), a smooth hinge with margin γ. A batch is what an
    image with its candidate boxes is in the paper, and a pair is a box.

    - Class weights make the even distribution an uneven one: a pair counts as that many. There is no Σ w ℓ / Σ w,
      for utterances have no losses of their own; as there, the scale of the weights has no effect.
    - Label smoothing shrinks the margin to 1 − ε of it, as it shrinks the distance between the targets of the true
      class and of a wrong one.

    Qian et al., "DR Loss: Improving Object Detection by Distributional Ranking", CVPR 2020.
    """

    weights: Tensor | None
    smoothing: float

    @classmethod
    def build(cls, counts: Mapping[str, int], settings: Train) -> DistributionalRanking:
        """Return the loss with the settings that act on it; see :func:`classification_loss`."""
        return cls(_class_weights(counts, settings), settings.label_smoothing)

    def __call__(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of [batch, classes] scores for [batch] class numbers."""
        s = scores.sigmoid()
        weights = _weights(self.weights, scores)[labels].log()[:, None]
        true = F.one_hot(labels, scores.shape[1]).bool()
        positive = _mean(s, weights - s / POSITIVE_SPREAD, true)
        negative = _mean(s, weights + s / NEGATIVE_SPREAD, ~true)
        return SCALE * F.softplus(negative - positive + (1 - self.smoothing) * MARGIN, beta=SHARPNESS)


LOSSES: dict[ClassificationLoss, type[CrossEntropy | Focal | BalancedSoftmax | DistributionalRanking]] = {
    "cross_entropy": CrossEntropy,
    "focal": Focal,
    "balanced_softmax": BalancedSoftmax,
    "distributional_ranking": DistributionalRanking,
}


def _class_weights(counts: Mapping[str, int], settings: Train) -> Tensor | None:
    return class_weights(np.array(list(counts.values())), settings.class_weights)


def _mean(values: Tensor, logits: Tensor, chosen: Tensor) -> Tensor:
    """Return the mean of the chosen values under the softmax of their logits."""
    distribution = logits.masked_fill(~chosen, -torch.inf).flatten().softmax(0)
    return distribution @ values.flatten()


def _weights(weights: Tensor | None, scores: Tensor) -> Tensor:
    return scores.new_ones(scores.shape[1]) if weights is None else weights.to(scores)


def _check_weights(weights: str | Sequence[float], counts: Mapping[str, int]) -> None:
    key, labels = "train.class_weights", ", ".join(counts)
    if isinstance(weights, str):
        if weights != "none":
            _check_counts(key, weights, counts)
        return
    if len(weights) != len(counts):
        raise UserError(f"{key}: {len(weights)} weights for {len(counts)} classes; give one each, for {labels}")
    for label, weight in zip(counts, weights, strict=True):
        if not 0 < weight < math.inf:
            raise UserError(
                f"{key}: {weight} for {label}: not a positive number; to leave a class out, list the others in "
                "data.audio.labels"
            )


def _check_counts(key: str, value: str, counts: Mapping[str, int]) -> None:
    absent = [label for label, count in counts.items() if count == 0]
    if absent:
        raise UserError(
            f"{key}: {value}: the training set has no utterance of {', '.join(absent)}; choose another value, "
            "another split, or list the other classes in data.audio.labels"
        )
