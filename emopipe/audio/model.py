"""The trainable model: the last blocks of a backbone, pooling, layer pooling and a head."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from emopipe.audio.heads import head
from emopipe.audio.layers import LayerPooling
from emopipe.audio.parameters import Model, Scale, Train
from emopipe.audio.pooling import POOLING
from emopipe.audio.tasks import Task
from emopipe.backbones.backbone import TrainableBlocks
from emopipe.backbones.loading import reload_verified
from emopipe.schemas.dev_answers import DevAnswers
from emopipe.training.networks import Ensemble, Network, ParameterGroup


class AudioModel(Network):
    """Scores of emotions, or values of dimensions, from the encoding of an utterance."""

    def __init__(
        self,
        settings: Model,
        blocks: TrainableBlocks | None,
        layers: LayerPooling | None,
        dim: int,
        outputs: int,
    ) -> None:
        """Build the model.

        Args:
            settings: the ``model`` group
            blocks: the trainable blocks; None when ``features`` is ``frozen``
            layers: pooling of the layer statistics, fitted; None when ``features`` is ``finetuned``
            dim: width of a frame
            outputs: number of classes or dimensions
        """
        super().__init__()
        self.blocks = blocks
        self.pooling = POOLING[settings.pooling](dim) if blocks is not None else None
        self.layers = layers
        inputs = sum(part.out for part in (self.pooling, self.layers) if part is not None)
        self.head = head(settings, inputs, outputs)

    def embedding(
        self, frames: Tensor | None = None, valid: Tensor | None = None, statistics: Tensor | None = None
    ) -> Tensor:
        """Return the input of the head.

        Args:
            frames: input of the trainable blocks, [batch, extra tokens + frames, dim]; with ``valid``
            valid: True where a row of it is real
            statistics: mean and standard deviation of every layer, [batch, 2, layers, dim]

        Returns:
            one vector per utterance, [batch, width]
        """
        parts: list[Tensor] = []
        if self.blocks is not None:
            parts.append(self.pooling(*self.blocks(frames, valid)))
        if self.layers is not None:
            parts.append(self.layers(statistics))
        return torch.cat(parts, 1)

    def parameter_groups(self, scale: Scale) -> list[ParameterGroup]:
        """Return the parts that share a learning rate: lower blocks, upper blocks with the final norm, all the rest."""
        new = [part for part in (self.pooling, self.layers, self.head) if part is not None]
        if self.blocks is None:
            return [ParameterGroup(new, 1.0)]
        blocks = list(self.blocks.blocks)
        half = len(blocks) // 2
        return [
            ParameterGroup(blocks[:half], scale.lower),
            ParameterGroup([*blocks[half:], self.blocks.norm], scale.upper),
            ParameterGroup(new, 1.0),
        ]


class Trained(NamedTuple):
    """A trained model and what it was trained for."""

    model: Ensemble
    settings: Model
    optimisation: Train
    task: Task
    provenance: dict[str, Any]  # of the store it was trained on
    temperature: float | None  # that calibrates its probabilities, fitted on the dev set
    epochs: list[int]  # whose weights the members have, from 1
    dev: DevAnswers | None = None  # of a classification


def trainable_blocks(settings: Model, provenance: dict[str, Any]) -> TrainableBlocks | None:
    """Return the pretrained blocks that an encoded store leaves to training; None where they are not used.

    Raises:
        UserError: if the backbone's weights are no longer those that made the store
    """
    if settings.features == "frozen":
        return None
    return reload_verified(provenance["backbone"]).trainable_blocks(provenance["trainable_layers"])
