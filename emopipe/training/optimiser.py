"""AdamW with a learning rate per part of a model, and how the rates change."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from transformers import get_scheduler

from emopipe.training.networks import ParameterGroup
from emopipe.training.parameters import Optimisation
from emopipe.training.sharding import sharded_like


class Pulled(NamedTuple):
    """A group that is pulled back to the weights it began with."""

    number: int  # of the group in the optimiser
    pull: float
    starts: list[Tensor]


def adamw(parameter_groups: Iterable[ParameterGroup], settings: Optimisation) -> torch.optim.AdamW:
    """Return the optimiser of every trainable parameter of the groups.

    Biases and the gains of norms are vectors and are not decayed (as in GPT, BERT and wav2vec2 recipes).

    A pull towards the weights that a group has now is decoupled from the gradient, as the decay is (L2-SP: Li,
    Grandvalet and Davoine, "Explicit inductive bias for transfer learning with convolutional networks", ICML 2018,
    equation 5; decoupled: Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019).
    """
    groups: list[dict[str, Any]] = []
    pulled: list[Pulled] = []
    for group in parameter_groups:
        parameters = [p for module in group.modules for p in module.parameters() if p.requires_grad]
        for decay, chosen in (
            (settings.weight_decay, [p for p in parameters if p.ndim > 1]),
            (0.0, [p for p in parameters if p.ndim <= 1]),
        ):
            if chosen:
                groups.append({"params": chosen, "lr": settings.learning_rate * group.scale, "weight_decay": decay})
                if group.pull:
                    pulled.append(Pulled(len(groups) - 1, group.pull, [p.detach().clone() for p in chosen]))
    optimiser = torch.optim.AdamW(groups, fused=True)  # one pass over the weights instead of ten
    if pulled:
        optimiser.register_step_post_hook(lambda own, *_: _pull_back(own, pulled))
    return optimiser


@torch.no_grad()
def _pull_back(optimiser: Optimizer, pulled: Sequence[Pulled]) -> None:
    for number, pull, starts in pulled:
        group = optimiser.param_groups[number]
        for parameter, start in zip(group["params"], starts, strict=True):
            parameter.lerp_(sharded_like(parameter, start), min(1.0, group["lr"] * pull))


def schedule(optimiser: Optimizer, settings: Optimisation, steps: int) -> LambdaLR:
    """Return what raises the learning rates linearly from 0 (``warmup``) and then follows ``schedule``.

    ``cosine_restarts`` starts anew after ``first`` epochs, each cycle ``growth`` times as long as the one before, and
    falls to the share ``lowest`` of the rate (Loshchilov & Hutter, "SGDR: Stochastic gradient descent with warm
    restarts", ICLR 2017, equation 5). Being a share, that end is the same for every group.

    Args:
        optimiser: whose rates these are
        settings: of the training
        steps: in an epoch
    """
    total = steps * settings.epochs
    warmup = round(settings.warmup * total)
    if settings.schedule != "cosine_restarts":
        kind = "constant_with_warmup" if settings.schedule == "constant" else settings.schedule
        return get_scheduler(kind, optimiser, num_warmup_steps=warmup, num_training_steps=total)
    restarts = settings.restarts

    def share(step: int) -> float:
        if step < warmup:
            return step / warmup
        position, length = step - warmup, restarts.first * steps
        while position >= length:
            position, length = position - length, length * restarts.growth
        return restarts.lowest + (1 - restarts.lowest) * (1 + math.cos(math.pi * position / length)) / 2

    return LambdaLR(optimiser, share)
