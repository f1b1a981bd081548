"""The scale of a regression's targets."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn


class TargetScaler(nn.Module):
    """Mean and standard deviation of the training targets: between the 1..5 scale and what the network sees."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        # Not persistent: config.json holds them, where a person can read them.
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)

    @classmethod
    def fit(cls, vad: np.ndarray) -> TargetScaler:
        """Return the statistics of training targets, [utterances, dimensions].

        A dimension in which all utterances agree has no spread to divide by; its unit stays that of the scale.
        """
        std = vad.std(axis=0)
        return cls(vad.mean(axis=0).tolist(), np.where(std > 0, std, 1.0).tolist())

    def transform(self, vad: Tensor) -> Tensor:
        """Return values of the 1..5 scale, [..., dimensions], in standard deviations from the training mean."""
        return (vad - self.mean) / self.std

    def inverse_transform(self, outputs: np.ndarray) -> np.ndarray:
        """Return the network's outputs, [..., dimensions], on the 1..5 scale.

        They are not clipped to its ends: that would flatter the error and hide how sure the network is.
        """
        return outputs * self.std.cpu().numpy() + self.mean.cpu().numpy()
