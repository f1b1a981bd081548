"""The VAD regressor: an encoder, pooling and one linear layer."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from stages.contracts.manifest import DIMENSIONS
from stages.contracts.parameters import Text


class Targets(nn.Module):
    """Mean and standard deviation of the training targets: between the 1..5 scale and what the network sees."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        # Not persistent: config.json holds them, where a person can read them.
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)

    @classmethod
    def of(cls, vad: np.ndarray) -> Targets:
        """Return the statistics of training targets, [utterances, 3].

        A dimension in which all utterances agree has no spread to divide by; its unit stays that of the scale.
        """
        std = vad.std(axis=0)
        return cls(vad.mean(axis=0).tolist(), np.where(std > 0, std, 1.0).tolist())

    def standardise(self, vad: Tensor) -> Tensor:
        """Return values of the 1..5 scale, [..., 3], in standard deviations from the training mean."""
        return (vad - self.mean) / self.std

    def to_scale(self, outputs: np.ndarray) -> np.ndarray:
        """Return the network's outputs, [..., 3], on the 1..5 scale.

        They are not clipped to its ends: that would flatter the error and hide how sure the network is.
        """
        return outputs * self.std.cpu().numpy() + self.mean.cpu().numpy()


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over real tokens, the special ones included, [batch, dim].

    Args:
        states: [batch, tokens, dim]
        mask: 1 where a token is real, [batch, tokens]
    """
    weights = mask[..., None].to(states.dtype)
    return (states * weights).sum(1) / weights.sum(1)


class Regressor(nn.Module):
    """Valence, arousal and dominance of a text."""

    def __init__(self, encoder: nn.Module, settings: Text, targets: Targets) -> None:
        """Build the model.

        Args:
            encoder: pretrained; all of it is trained
            settings: the ``text`` group
            targets: statistics of the training targets
        """
        super().__init__()
        self.encoder = encoder
        self.pooling = settings.pooling
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(encoder.config.hidden_size, len(DIMENSIONS))
        self.targets = targets

    def pool(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Return one vector per text, [batch, dim]; see :meth:`forward`."""
        segments = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **segments).last_hidden_state
        return states[:, 0] if self.pooling == "first" else masked_mean(states, attention_mask)

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """Return standardised VAD.

        Args:
            input_ids: [batch, tokens]
            attention_mask: 1 where a token is real, [batch, tokens]
            token_type_ids: of encoders that tell a first sentence from a second, [batch, tokens]

        Returns:
            [batch, 3], in standard deviations from the training mean
        """
        return self.head(self.dropout(self.pool(input_ids, attention_mask, token_type_ids)))

    def loss(self, outputs: Tensor, vad: Tensor) -> Tensor:
        """Return the mean squared error of standardised VAD, each dimension counting alike.

        Args:
            outputs: of :meth:`forward`, [batch, 3]
            vad: on the 1..5 scale, [batch, 3]
        """
        return mse_loss(outputs, self.targets.standardise(vad))
