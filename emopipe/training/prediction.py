"""The outputs of a trained network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from emopipe.training.examples import Batch, ExampleDataset


@torch.no_grad()
def predict(
    model: nn.Module,
    items: ExampleDataset,
    collate: Callable[[list[Any]], Batch],
    batch_size: int,
    device: torch.device,
) -> np.ndarray:
    """Return the outputs of ``model`` for every item, in order, [items, ...]."""
    model.eval().to(device)
    order = np.argsort(items.lengths, kind="stable")  # batches of equals: little padding
    outputs: list[np.ndarray] = []
    for start in range(0, len(order), batch_size):
        batch = collate([items[i] for i in order[start : start + batch_size]])
        inputs = {name: value.to(device) for name, value in batch.items() if name != "labels"}
        outputs.append(model(**inputs).float().cpu().numpy())
    return np.concatenate(outputs)[np.argsort(order, kind="stable")]
