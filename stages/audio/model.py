"""The trainable model: the last blocks of a backbone, pooling, the layer mix and a head; and several of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from stages.audio.heads import head
from stages.audio.layers import MIXES
from stages.audio.pooling import POOLING
from stages.backbones.backbone import Suffix
from stages.contracts.parameters import Model, Scale
from stages.training.network import Network
from stages.training.optimiser import Tier


class AudioModel(Network):
    """Scores of emotions, or values of dimensions, from what the frozen part of a backbone said of an utterance."""

    def __init__(self, settings: Model, suffix: Suffix | None, layers: int, dim: int, outputs: int) -> None:
        """Build the model.

        Args:
            settings: the ``model`` group
            suffix: the trainable blocks; None when ``features`` is ``layers``
            layers: number of layers in the statistics
            dim: width of a frame
            outputs: number of classes or dimensions
        """
        super().__init__()
        self.suffix = suffix
        self.pooling = POOLING[settings.pooling](dim) if suffix is not None else None
        self.mix = MIXES[settings.layer_mix](layers, dim) if settings.features != "suffix" else None
        inputs = sum(part.out for part in (self.pooling, self.mix) if part is not None)
        self.head = head(settings, inputs, outputs)

    def fit_layers(self, statistics: Iterable[np.ndarray]) -> None:
        """Fit what is fitted before training: on training utterances alone."""
        if self.mix is not None:
            self.mix.fit(statistics)

    def embed(
        self, frames: Tensor | None = None, valid: Tensor | None = None, statistics: Tensor | None = None
    ) -> Tensor:
        """Return what the head is given.

        Args:
            frames: input of the trainable blocks, [batch, extra tokens + frames, dim]; with ``valid``
            valid: True where a row of it is real
            statistics: mean and standard deviation of every layer, [batch, 2, layers, dim]

        Returns:
            one vector per utterance, [batch, width]
        """
        parts: list[Tensor] = []
        if self.suffix is not None:
            parts.append(self.pooling(*self.suffix(frames, valid)))
        if self.mix is not None:
            parts.append(self.mix(statistics))
        return torch.cat(parts, 1)

    def tiers(self, scale: Scale) -> list[Tier]:
        """Return what learns how fast: lower blocks, upper blocks with the final norm, all the rest."""
        new = [part for part in (self.pooling, self.mix, self.head) if part is not None]
        if self.suffix is None:
            return [Tier(new, 1.0)]
        blocks = list(self.suffix.blocks)
        half = len(blocks) // 2
        return [
            Tier(blocks[:half], scale.lower),
            Tier([*blocks[half:], self.suffix.norm], scale.upper),
            Tier(new, 1.0),
        ]


class Ensemble(nn.Module):
    """Models of one kind that were trained apart, whose outputs are averaged.

    What a seed decides, the first weights and the order and mixtures of utterances, then decides less. The mean of
    scores before the softmax is the normalised geometric mean of the probabilities.

    Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles", NeurIPS 2017.
    """

    def __init__(self, members: Sequence[AudioModel]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def embed(self, **batch: Tensor) -> Tensor:
        """Return the mean of what the heads are given, [batch, width], of what :meth:`AudioModel.embed` takes."""
        return torch.stack([member.embed(**batch) for member in self.members]).mean(0)

    def forward(self, **batch: Tensor) -> Tensor:
        """Return the mean of the outputs, [batch, outputs]."""
        return torch.stack([member(**batch) for member in self.members]).mean(0)
