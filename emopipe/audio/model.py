"""The trainable models: the last blocks of a backbone, pooling, layer pooling and heads."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor

from emopipe.audio import adapters
from emopipe.audio.heads import head
from emopipe.audio.layers import LayerPooling
from emopipe.audio.parameters import Model, Scale, Tuning
from emopipe.audio.pooling import POOLING
from emopipe.audio.tasks import Task
from emopipe.backbones.backbone import TrainableBlocks
from emopipe.backbones.catalogue import FAMILIES
from emopipe.backbones.loading import reload_verified
from emopipe.io.errors import UserError
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


class TunedModel(Network):
    """An ensemble of heads on the layers of one network whose last blocks are trained.

    The statistics of those blocks are taken from what they give now, those of the layers below from the store: with
    the pretrained weights this is the ensemble on the frozen layers, and the gradient reaches every block that is
    trained, wherever the useful layers lie.
    """

    def __init__(self, blocks: TrainableBlocks, ensemble: Ensemble) -> None:
        """Build the model.

        Args:
            blocks: the trainable blocks
            ensemble: of models with ``features: frozen``
        """
        super().__init__()
        self.blocks = blocks
        self.head = ensemble

    def embedding(self, frames: Tensor, valid: Tensor, statistics: Tensor) -> Tensor:
        """Return the statistics of all layers, [batch, 2, layers, dim]; see :meth:`AudioModel.embedding`."""
        own = self.blocks.statistics(frames, valid)
        return torch.cat([statistics[:, :, : statistics.shape[2] - own.shape[2]], own], 2)

    def mean_embedding(self, **batch: Tensor) -> Tensor:
        """Return the mean of the inputs of the heads, [batch, width]."""
        return self.head.mean_embedding(statistics=self.embedding(**batch))

    def outputs(self, **batch: Tensor) -> Tensor:
        """Return the outputs of every head, [batch, heads, outputs]."""
        return self.head.outputs(statistics=self.embedded(batch))

    def forward(self, **batch: Tensor) -> Tensor:
        """Return the outputs of every head in training, where each has a loss of its own; else their mean."""
        return self.outputs(**batch) if self.training else self.outputs(**batch).mean(1)

    def parameter_groups(self, tuning: Tuning) -> list[ParameterGroup]:
        """Return the parts that share a learning rate: the heads, then every block, the last one with the final norm.

        Args:
            tuning: the ``train.tuning`` group
        """
        *lower, last = self.blocks.blocks
        blocks = [[last, self.blocks.norm], *([block] for block in reversed(lower))]
        share = tuning.learning_rate / tuning.head_learning_rate
        scales = [share * tuning.layer_decay**depth for depth in range(len(blocks))]
        tuned = [ParameterGroup(block, scale, tuning.l2_sp) for block, scale in zip(blocks, scales, strict=True)]
        return [ParameterGroup([self.head], 1.0), *tuned]


def of_members(settings: Model) -> Model:
    """Return the settings of an ensemble's members: those under tuned layers are models on frozen ones."""
    tuned = settings.features == "tuned_layers"
    return settings.model_copy(update={"features": "frozen"}) if tuned else settings


def tunable(ensemble: Ensemble, blocks: TrainableBlocks, tuning: Tuning, family: str) -> TunedModel:
    """Return a model to be tuned: until then, what the ensemble is on the frozen layers.

    Args:
        ensemble: of models on the frozen layers; it is copied
        blocks: pretrained; they are copied
        tuning: the ``train.tuning`` group
        family: of the backbone

    Raises:
        UserError: if LoRA is wanted of layers that are not there
    """
    blocks = deepcopy(blocks)
    if tuning.method == "lora":
        adapters.add(blocks, tuning.lora, FAMILIES[family].linear_layers)
    return TunedModel(blocks, deepcopy(ensemble))


class Choice(NamedTuple):
    """How much of a change of the weights is kept, and what decided it."""

    share: float  # 0: none of it, the model is the frozen one
    losses: dict[str, float]  # on dev by share, speakers counting alike; empty: nothing was tuned
    error: float | None = None  # of the gain of the lowest of them, over speakers; None: of one
    score: float | None = None  # on dev, of what is kept
    frozen: float | None = None  # on dev, of the frozen model


class Trained(NamedTuple):
    """A trained model and what it was trained for."""

    model: Ensemble | TunedModel
    settings: Model
    optimisation: dict[str, Any]  # the ``train`` group
    task: Task
    provenance: dict[str, Any]  # of the store it was trained on
    temperature: float | None  # that calibrates its probabilities, fitted on the dev set
    epochs: list[int]  # whose weights the members have, from 1
    dev: DevAnswers | None = None  # of a classification
    choice: Choice | None = None  # of the share of the tuned weights, where there was one


def trainable_blocks(settings: Model, provenance: dict[str, Any]) -> TrainableBlocks | None:
    """Return the pretrained blocks that an encoded store leaves to training; None where they are not used.

    Raises:
        UserError: if the backbone's weights are no longer those that made the store, or no block is left to training
            where some are to be tuned
    """
    if settings.features == "frozen":
        return None
    if settings.features == "tuned_layers" and not provenance["trainable_layers"]:
        raise UserError("model.features: tuned_layers, but model.trainable_layers is 0: which blocks are to be tuned?")
    return reload_verified(provenance).trainable_blocks(provenance["trainable_layers"])
