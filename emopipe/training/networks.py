"""What both branches train: an embedding and a head, and ensembles of them; the scale of a regression's targets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class ParameterGroup(NamedTuple):
    """Modules that share a learning rate, as a share of ``learning_rate``."""

    modules: Iterable[nn.Module]
    scale: float
    pull: float = 0.0  # after each step, back towards where they began: by this times the rate of the distance


class Network(nn.Module):
    """A network of two parts, ``embedding`` and ``head``.

    With ``micro_batch`` a training step holds the activations of so many examples at a time. The gradient computes
    each part a second time, with the same random numbers. The head and the loss see the whole batch: unlike sums of
    gradients over small batches, this is exact for every loss and for batch norm (after Gao et al., "Scaling deep
    contrastive learning batch size under memory limited setup", RepL4NLP 2021).
    """

    head: nn.Module
    micro_batch: int | None = None

    def embedding(self, **batch: Tensor) -> Tensor:
        """Return the input of the head, [batch, ...]."""
        raise NotImplementedError

    def forward(self, **batch: Tensor) -> Tensor:
        """Return the outputs, [batch, outputs], of what :meth:`embedding` takes."""
        return self.head(self.embedded(batch))

    def embedded(self, batch: dict[str, Tensor]) -> Tensor:
        """Return the input of the head, in training of so many examples at a time."""
        return self._in_parts(batch) if self.training and self.micro_batch else self.embedding(**batch)

    def _in_parts(self, batch: dict[str, Tensor]) -> Tensor:
        def part(*tensors: Tensor) -> Tensor:
            return self.embedding(**dict(zip(batch, tensors, strict=True)))

        parts = zip(*(tensor.split(self.micro_batch) for tensor in batch.values()), strict=True)
        return torch.cat([checkpoint(part, *tensors, use_reentrant=False) for tensors in parts])


class Ensemble(nn.Module):
    """Several networks as one: the mean of their outputs.

    The mean of scores before the softmax is the normalised geometric mean of the probabilities.

    Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles", NeurIPS 2017.
    """

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def mean_embedding(self, **batch: Tensor) -> Tensor:
        """Return the mean of the inputs of the heads, [batch, width]."""
        return torch.stack([member.embedding(**batch) for member in self.members]).mean(0)

    def outputs(self, **batch: Tensor) -> Tensor:
        """Return the outputs of every member, [batch, members, outputs]."""
        return torch.stack([member(**batch) for member in self.members], 1)

    def forward(self, **batch: Tensor) -> Tensor:
        """Return the mean of the outputs, [batch, outputs]."""
        return self.outputs(**batch).mean(1)


class TargetScaler(nn.Module):
    """Mean and standard deviation of the training targets: between the 1..5 scale and what the network sees."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        # Not persistent: config.json holds them, where a person can read them.
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)

    @classmethod
    def fit(cls, vad: np.ndarray) -> TargetScaler:
        """Return the scaler of training targets, [utterances, dimensions].

        A dimension in which all utterances agree has no spread to divide by; its unit stays that of the scale.
        """
        std = vad.std(axis=0)
        return cls(vad.mean(axis=0).tolist(), np.where(std > 0, std, 1.0).tolist())

    def transform(self, vad: Tensor) -> Tensor:
        """Return values of the 1..5 scale, [..., dimensions], in standard deviations from the training mean."""
        return (vad - self.mean) / self.std

    def inverse_transform(self, outputs: np.ndarray) -> np.ndarray:
        """Return the network's outputs, [..., dimensions], on the 1..5 scale.

        They are not clipped to its ends: that would flatter the error and hide how sure the network is.
        """
        return outputs * self.std.cpu().numpy() + self.mean.cpu().numpy()


def count_trainable_parameters(model: nn.Module) -> int:
    """Return the number of parameters that are trained."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
