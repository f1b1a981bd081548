"""From one vector per utterance to class scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from emopipe.audio.parameters import Model
from emopipe.io.errors import UserError


def head(settings: Model, inputs: int, outputs: int) -> nn.Sequential:
    """Build the head that ``model.head`` names; it maps [batch, inputs] to [batch, outputs].

    - ``linear``: dropout → linear
    - ``tanh``: dropout → linear (hidden) → tanh → dropout → linear
    - ``norm_mlp``: dropout → (linear (hidden) → layer norm → ReLU → dropout) × head_layers → linear
    - ``batchnorm_mlp``: linear (hidden) → batch norm → ReLU → dropout → linear (hidden / 2) → batch norm → ReLU →
      dropout → linear

    Raises:
        UserError: if half of ``hidden`` is no unit at all
    """
    hidden, dropout = settings.hidden, settings.dropout
    match settings.head:
        case "tanh":
            body = [nn.Dropout(dropout), nn.Linear(inputs, hidden), nn.Tanh(), nn.Dropout(dropout)]
            width = hidden
        case "norm_mlp":
            widths = [inputs] + [hidden] * settings.head_layers
            body = [nn.Dropout(dropout), *_layers(widths, nn.LayerNorm, dropout)]
            width = hidden
        case "batchnorm_mlp":
            if hidden < 2:
                raise UserError(f"model.hidden: {hidden}: the second layer of a batchnorm_mlp is half as wide; use 2")
            body = _layers([inputs, hidden, hidden // 2], BatchNorm, dropout)
            width = hidden // 2
        case _:
            body = [nn.Dropout(dropout)]
            width = inputs
    return nn.Sequential(*body, nn.Linear(width, outputs))


class BatchNorm(nn.BatchNorm1d):
    """Batch norm that takes a training batch of one utterance, as the last of an epoch may be.

    One utterance has no variance. It is normalised by the running statistics, as in evaluation, and leaves them as
    they are.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise [batch, width]."""
        if self.training and len(x) == 1:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


def _layers(widths: Sequence[int], norm: Callable[[int], nn.Module], dropout: float) -> list[nn.Module]:
    """Return linear → norm → ReLU → dropout from every width to the next."""
    modules: list[nn.Module] = []
    for before, after in pairwise(widths):
        modules += [nn.Linear(before, after), norm(after), nn.ReLU(), nn.Dropout(dropout)]
    return modules
