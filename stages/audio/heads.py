"""From one vector per utterance to class scores."""

from __future__ import annotations

from torch import nn

from stages.contracts.parameters import Model


def head(settings: Model, inputs: int, outputs: int) -> nn.Sequential:
    """Build the head that ``model.head`` names; it maps [batch, inputs] to [batch, outputs]."""
    modules: list[nn.Module] = [nn.Dropout(settings.dropout)]
    width = inputs
    if settings.head == "norm_mlp":
        for _ in range(settings.head_layers):
            modules += [
                nn.Linear(width, settings.hidden),
                nn.LayerNorm(settings.hidden),
                nn.ReLU(),
                nn.Dropout(settings.dropout),
            ]
            width = settings.hidden
    return nn.Sequential(*modules, nn.Linear(width, outputs))
