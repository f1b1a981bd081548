"""Parameters of the audio model and of its training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from emopipe.backbones.parameters import BackboneChoice
from emopipe.parameters import Count, Group, Name, Number, OrNone, Positive, Share
from emopipe.splits.parameters import AudioTarget
from emopipe.training.parameters import Optimisation, RegressionLoss

ClassificationLoss = Literal["cross_entropy", "focal", "balanced_softmax", "distributional_ranking"]  # keys of LOSSES


class Model(BackboneChoice, AudioTarget):
    """The audio model."""

    KEY = "model"

    layer_pooling: Literal["concat", "concat_means", "weighted"]
    pooling: Literal["mean", "attentive_statistics"]
    head: Literal["linear", "tanh", "norm_mlp", "batchnorm_mlp"]
    hidden: Count
    head_layers: Count
    dropout: Share
    ensemble_size: Count


class Scale(Group):
    """Learning rates of the trainable blocks, as shares of that of the head."""

    lower: Positive
    upper: Positive


class Loss(Group):
    """The loss of either task."""

    classification: ClassificationLoss
    regression: RegressionLoss


class Lora(Group):
    """Low-rank changes of weights, W + alpha / rank · B A."""

    rank: Count
    alpha: Positive
    targets: Annotated[list[Name], OrNone]  # names of linear layers; none: those of the family


KeptShare = Annotated[Number, Field(gt=0, le=1)]


class Tuning(Group):
    """The training of the blocks, once the heads are trained on their frozen layers."""

    method: Literal["weights", "lora"]
    epochs: Count
    learning_rate: Positive
    layer_decay: Annotated[Number, Field(gt=0, le=1)]
    head_learning_rate: Positive
    l2_sp: Annotated[Number, Field(ge=0)]
    lora: Lora


class Train(Optimisation):
    """The training of the audio model."""

    KEY = "train"

    sampling: Literal["utterance", "corpus"]
    loss: Loss
    focal_gamma: Annotated[Number, Field(ge=0)]
    label_smoothing: Share
    class_weights: Literal["none", "inverse", "balanced"] | list[Number]
    mixup: Annotated[Number, Field(ge=0)]
    lr_scale: Scale
    tuning: Tuning
    interpolation: Annotated[list[KeptShare], Field(min_length=1)] | KeptShare
