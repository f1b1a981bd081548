"""A baseline that is not trained: how close is a text to sentences from either end of a dimension?

Every dimension has anchor sentences for its low and its high end. A text's place between them is the
softmax of its two cosines, in the embedding space of the *untuned* encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor, nn
from torch.nn.functional import normalize

from emopipe.schemas.manifest import DIMENSIONS
from emopipe.text.batches import Collate, examples
from emopipe.text.encoders import Pretrained
from emopipe.text.parameters import Anchors, Text
from emopipe.text.regressor import masked_mean
from emopipe.training.data import predict

# softmax(20 cosine): the default scale of the ranking loss that sentence encoders are trained with.
TEMPERATURE = 0.05
LOW, HIGH = 1.0, 5.0  # ends of the scale


class _Embedder(nn.Module):
    """Sentence embeddings: mean over tokens, of length one."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, attention_mask: Tensor, **tokens: Tensor) -> Tensor:
        """Return [batch, dim]."""
        states = self.encoder(attention_mask=attention_mask, **tokens).last_hidden_state
        return normalize(masked_mean(states, attention_mask), dim=1)


def anchors(
    texts: Sequence[str], pretrained: Pretrained, sentences: Anchors, settings: Text, device: torch.device
) -> np.ndarray:
    """Return zero-shot valence, arousal and dominance.

    With c the cosine of a text with the mean embedding of an end's anchors, p = softmax([c_low, c_high] / 0.05),
    and the prediction is 1·p_low + 5·p_high.

    Args:
        texts: one per row
        pretrained: the encoder as it was before training
        sentences: the anchors of either end, per dimension
        settings: of the regressor: its max_tokens and batch_size
        device: where to embed

    Returns:
        [texts, 3], within 1..5
    """
    ends = [getattr(getattr(sentences, name), end) for name in DIMENSIONS for end in ("low", "high")]
    centres = np.stack([_embed(end, pretrained, settings, device).mean(0) for end in ends])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    cosines = _embed(texts, pretrained, settings, device) @ centres.T  # [texts, 6]
    high = expit((cosines[:, 1::2] - cosines[:, 0::2]) / TEMPERATURE)  # softmax of two
    return LOW * (1 - high) + HIGH * high


def _embed(texts: Sequence[str], pretrained: Pretrained, settings: Text, device: torch.device) -> np.ndarray:
    encoded = examples(texts, pretrained.tokenizer, settings.max_tokens)
    collate = Collate(pretrained.tokenizer)
    return predict(_Embedder(pretrained.encoder), encoded, collate, 2 * settings.batch_size, device)


class Calibration(NamedTuple):
    """A straight line per dimension from raw predictions to the gold scale, gold = slope · raw + intercept."""

    slope: np.ndarray  # [3]
    intercept: np.ndarray  # [3]

    @classmethod
    def fit(cls, raw: np.ndarray, gold: np.ndarray) -> Calibration:
        """Fit the line of least squares of every dimension.

        Args:
            raw: predictions for *training* utterances, [utterances, 3]
            gold: their values on the 1..5 scale, [utterances, 3]
        """
        lines = [
            np.linalg.lstsq(np.column_stack([raw[:, i], np.ones(len(raw))]), gold[:, i])[0] for i in range(raw.shape[1])
        ]
        return cls(*np.array(lines, dtype=np.float64).T)

    def apply(self, raw: np.ndarray) -> np.ndarray:
        """Return calibrated predictions, [utterances, 3]."""
        return self.slope * raw + self.intercept
