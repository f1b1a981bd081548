"""Classification losses."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def class_weights(counts: np.ndarray, kind: str) -> Tensor | None:
    """Return one weight per class, or None for none.

    Args:
        counts: training utterances per class, n_c
        kind: ``balanced``: N / (C n_c); ``inverse``: (1 / n_c) / Σ (1 / n_k); ``none``
    """
    counts = counts.astype(np.float64)
    match kind:
        case "balanced":
            weights = counts.sum() / (len(counts) * counts)
        case "inverse":
            weights = (1 / counts) / (1 / counts).sum()
        case _:
            return None
    return torch.tensor(weights, dtype=torch.float32)


class CrossEntropy:
    """Class-weighted cross-entropy: Σ w_y (−log p_y) / Σ w_y."""

    def __init__(self, weights: Tensor | None) -> None:
        self.weights = weights

    def __call__(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Return the loss of [batch, classes] scores for [batch] class numbers."""
        weights = None if self.weights is None else self.weights.to(scores.device)
        return torch.nn.functional.cross_entropy(scores, labels, weight=weights)
