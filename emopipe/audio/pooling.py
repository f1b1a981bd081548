"""From frames to one vector per utterance. Only valid frames count."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SMALLEST_VARIANCE = 1e-5


class Mean(nn.Module):
    """The mean over valid frames."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out = dim

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Pool [batch, frames, dim], where ``valid`` [batch, frames] is True, to [batch, dim]."""
        weights = valid.to(x.dtype)[..., None]
        return (x * weights).sum(1) / weights.sum(1)


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation under learned attention.

    e = v·tanh(W h + b), α = softmax(e) over valid frames, μ = Σ α h, σ = sqrt(Σ α h² − μ²); output [μ; σ].

    Okabe, Koshinaka and Shinoda, "Attentive Statistics Pooling for Deep Speaker Embedding", Interspeech 2018.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.out = 2 * dim
        self.project = nn.Linear(dim, dim)
        self.score = nn.Linear(dim, 1, bias=False)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Pool [batch, frames, dim], where ``valid`` [batch, frames] is True, to [batch, 2 dim]."""
        score = self.score(torch.tanh(self.project(x)))[..., 0].masked_fill(~valid, -torch.inf)
        weights = score.softmax(1)[..., None]
        mean = (weights * x).sum(1)
        # The squared distance to the mean equals Σ α h² − μ², without its cancellation.
        variance = (weights * (x - mean[:, None]).square()).sum(1)
        return torch.cat([mean, variance.clamp_min(SMALLEST_VARIANCE).sqrt()], 1)


POOLING = {"mean": Mean, "attentive_statistics": AttentiveStatistics}
