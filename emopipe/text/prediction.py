"""Predictions of a trained text regressor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from emopipe.text.batches import Collate, items
from emopipe.text.saving import Trained
from emopipe.training import prediction


def predict(trained: Trained, texts: Sequence[str], device: torch.device) -> np.ndarray:
    """Return valence, arousal and dominance of each text on the 1..5 scale, [texts, 3]; not clipped."""
    settings = trained.settings
    encoded = items(texts, trained.tokenizer, settings.max_tokens)
    collate = Collate(trained.tokenizer)
    outputs = prediction.predict(trained.model, encoded, collate, 2 * settings.batch_size, device)
    return trained.targets.inverse_transform(outputs)
