"""The trainable model: the last blocks of a backbone, pooling, the layer mix and a head."""

from __future__ import annotations

import torch
from torch import Tensor

from emopipe.audio.heads import head
from emopipe.audio.layers import Mix
from emopipe.audio.parameters import Model, Scale
from emopipe.audio.pooling import POOLING
from emopipe.backbones.backbone import Suffix
from emopipe.training.network import Network
from emopipe.training.optimiser import ParameterGroup


class AudioModel(Network):
    """Scores of emotions, or values of dimensions, from what the frozen part of a backbone said of an utterance."""

    def __init__(self, settings: Model, suffix: Suffix | None, mix: Mix | None, dim: int, outputs: int) -> None:
        """Build the model.

        Args:
            settings: the ``model`` group
            suffix: the trainable blocks; None when ``features`` is ``layers``
            mix: of the layers' statistics, fitted; None when ``features`` is ``suffix``
            dim: width of a frame
            outputs: number of classes or dimensions
        """
        super().__init__()
        self.suffix = suffix
        self.pooling = POOLING[settings.pooling](dim) if suffix is not None else None
        self.mix = mix
        inputs = sum(part.out for part in (self.pooling, self.mix) if part is not None)
        self.head = head(settings, inputs, outputs)

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

    def parameter_groups(self, scale: Scale) -> list[ParameterGroup]:
        """Return what learns how fast: lower blocks, upper blocks with the final norm, all the rest."""
        new = [part for part in (self.pooling, self.mix, self.head) if part is not None]
        if self.suffix is None:
            return [ParameterGroup(new, 1.0)]
        blocks = list(self.suffix.blocks)
        half = len(blocks) // 2
        return [
            ParameterGroup(blocks[:half], scale.lower),
            ParameterGroup([*blocks[half:], self.suffix.norm], scale.upper),
            ParameterGroup(new, 1.0),
        ]
