"""Layer pooling: what the head is given of the layer statistics."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from emopipe.audio.parameters import Model


class Concat(nn.Module):
    """Mean and standard deviation of every layer side by side, standardised on the training utterances."""

    def __init__(self, layers: int, dim: int) -> None:
        super().__init__()
        self.out = self.select(torch.zeros(1, 2, layers, dim)).shape[1]
        self.register_buffer("centre", torch.zeros(self.out))
        self.register_buffer("scale", torch.ones(self.out))

    def select(self, statistics: Tensor) -> Tensor:
        """Return what is taken of [batch, 2, layers, dim], side by side, [batch, out]."""
        return statistics.flatten(1)

    def fit(self, statistics: Iterable[np.ndarray]) -> None:
        """Take centre and scale from batches of utterances' statistics, [batch, 2, layers, dim], in one pass."""
        from sklearn.preprocessing import StandardScaler  # here: only a training needs it

        scaler = StandardScaler()
        for batch in statistics:
            scaler.partial_fit(self.select(torch.from_numpy(batch)).double().numpy())
        self.centre.copy_(torch.from_numpy(scaler.mean_))
        self.scale.copy_(torch.from_numpy(scaler.scale_))

    def forward(self, statistics: Tensor) -> Tensor:
        """Map [batch, 2, layers, dim] to [batch, out]."""
        return (self.select(statistics) - self.centre) / self.scale


class ConcatMeans(Concat):
    """The mean of every block's output side by side, standardised on the training utterances.

    Standard deviations, and the input of the first block, tell more of speaker and recording than of emotion: with few
    training speakers a model without them does better on new ones.
    """

    def select(self, statistics: Tensor) -> Tensor:
        """Return the means of all layers but the lowest, the input of the blocks."""
        return statistics[:, 0, 1:].flatten(1)


class Weighted(nn.Module):
    """The mean over frames of a weighted sum of the layers, with softmax weights.

    The mean of the sum is the sum of the means: no frame is needed.

    Yang et al., "SUPERB: Speech processing Universal PERformance Benchmark", Interspeech 2021.
    """

    def __init__(self, layers: int, dim: int) -> None:
        super().__init__()
        self.out = dim
        self.weights = nn.Parameter(torch.zeros(layers))

    def fit(self, statistics: Iterable[np.ndarray]) -> None:
        """Fit nothing beforehand: the weights are trained."""

    def forward(self, statistics: Tensor) -> Tensor:
        """Map [batch, 2, layers, dim] to [batch, dim]."""
        return torch.einsum("l,bld->bd", self.weights.softmax(0), statistics[:, 0])


LayerPooling = Concat | Weighted
LAYER_POOLING: dict[str, type[LayerPooling]] = {"concat": Concat, "concat_means": ConcatMeans, "weighted": Weighted}


def layer_pooling(settings: Model, layers: int, dim: int) -> LayerPooling | None:
    """Return the pooling that ``model.layer_pooling`` names, to be fitted; None where no layer statistics are used.

    Args:
        settings: the ``model`` group
        layers: number of layers in the statistics
        dim: width of a frame
    """
    return None if settings.features == "finetuned" else LAYER_POOLING[settings.layer_pooling](layers, dim)
