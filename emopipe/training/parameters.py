"""Parameters of a training, of either branch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from emopipe.parameters import Count, Group, Number, Positive, Precision, Seed, Share

RegressionLoss = Literal["ccc", "pcc", "mse", "mae", "mse_ccc"]  # the keys of REGRESSION_LOSSES


class Restarts(Group):
    """The cycles of ``cosine_restarts``."""

    first: Count
    growth: Count
    lowest: Share


class Optimisation(Group):
    """What the trainings of both branches have in common."""

    epochs: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: Annotated[Number, Field(ge=0)]
    warmup: Share
    schedule: Literal["constant", "linear", "cosine", "cosine_restarts"]
    restarts: Restarts
    max_grad_norm: Positive
    precision: Precision
    weight_average: Share
    micro_batch: Count | None
    patience: Count | None
    refit: Literal["all_epochs", "best_epoch", "none"]
    seed: Seed


class CrossFitting(Group):
    """Which VAD of the training utterances the forest learns from."""

    KEY = "forest"

    inputs: Literal["text", "audio", "both"]
    vad: Literal["out_of_sample", "in_sample", "gold"]
    cross_fit: Annotated[int, Field(ge=2)]
