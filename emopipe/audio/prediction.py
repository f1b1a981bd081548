"""The outputs of a trained audio model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from emopipe.audio.batches import Collate, examples
from emopipe.audio.parameters import Model
from emopipe.encoding.store import Store
from emopipe.training import data

BATCH = 32  # utterances; no prediction depends on it


def predict(
    model: nn.Module, settings: Model, utterances: Sequence[str], store: Store, device: torch.device
) -> np.ndarray:
    """Return the outputs of a model, or of a part of one, for every utterance, [utterances, ...].

    Args:
        model: takes a batch of the store
        settings: the ``model`` group it was built with
        utterances: of the store
        store: of their encodings
        device: where to predict
    """
    dataset = examples(utterances, np.zeros(len(utterances)), store)  # there are no targets
    return data.predict(model, dataset, Collate(store, settings), BATCH, device).astype(np.float64)
