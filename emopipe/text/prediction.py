"""Predicting with a trained text regressor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from emopipe.text.batches import Collate, examples
from emopipe.text.saving import Trained
from emopipe.training import data


def predict(trained: Trained, texts: Sequence[str], device: torch.device) -> np.ndarray:
    """Return valence, arousal and dominance of each text on the 1..5 scale, [texts, 3]; not clipped."""
    settings = trained.settings
    dataset = examples(texts, trained.tokenizer, settings.max_tokens)
    outputs = data.predict(trained.model, dataset, Collate(trained.tokenizer), 2 * settings.batch_size, device)
    return trained.targets.inverse_transform(outputs)
