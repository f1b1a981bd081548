"""AdamW with a learning rate per tier of a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import nn

from stages.contracts.parameters import Optimisation


class Tier(NamedTuple):
    """Modules that share a learning rate, as a share of ``learning_rate``."""

    modules: Iterable[nn.Module]
    scale: float


def adamw(tiers: Iterable[Tier], settings: Optimisation) -> torch.optim.AdamW:
    """Return the optimiser of every trainable parameter of the tiers.

    Biases and the gains of norms are vectors and are not decayed (as in GPT, BERT and wav2vec2 recipes).
    """
    groups: list[dict[str, Any]] = []
    for tier in tiers:
        parameters = [p for module in tier.modules for p in module.parameters() if p.requires_grad]
        for decay, chosen in (
            (settings.weight_decay, [p for p in parameters if p.ndim > 1]),
            (0.0, [p for p in parameters if p.ndim <= 1]),
        ):
            if chosen:
                groups.append({"params": chosen, "lr": settings.learning_rate * tier.scale, "weight_decay": decay})
    return torch.optim.AdamW(groups, fused=True)  # one pass over the weights instead of ten
