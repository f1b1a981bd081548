"""What a network is trained on and predicts: examples, batches of them, and its outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

Batch = dict[str, Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]  # (outputs, targets) -> scalar
Collate = Callable[[list[Any]], Batch]  # makes a batch of examples; its ``labels`` are the targets

# Examples that lie near one another on disk are read near one another: an order is drawn of pieces, and one within each
# window of so many of them, which the memory for files can hold. Smaller corpora, of one window, know no difference.
PIECE, PIECES = 500, 64
WINDOW = PIECE * PIECES


class ExampleDataset(Dataset):
    """A list of examples that knows their lengths, so that batches can be made of equals."""

    def __init__(self, examples: Sequence[Any], lengths: Sequence[int]) -> None:
        self.examples = examples
        self.lengths = list(lengths)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Any:
        return self.examples[index]

    def __add__(self, other: ExampleDataset) -> ExampleDataset:
        return ExampleDataset([*self.examples, *other.examples], self.lengths + other.lengths)


@torch.no_grad()
def predict(
    model: nn.Module, dataset: ExampleDataset, collate: Collate, batch_size: int, device: torch.device
) -> np.ndarray:
    """Return the outputs of ``model`` for every example, in order, [examples, ...]."""
    model.eval().to(device)
    lengths = np.asarray(dataset.lengths)
    windows = (np.arange(start, min(start + WINDOW, len(lengths))) for start in range(0, len(lengths), WINDOW))
    order = np.concatenate([own[np.argsort(lengths[own], kind="stable")] for own in windows])  # of equals: no padding
    outputs: list[np.ndarray] = []
    for start in range(0, len(order), batch_size):
        batch = collate([dataset[i] for i in order[start : start + batch_size]])
        inputs = {name: value.to(device) for name, value in batch.items() if name != "labels"}
        outputs.append(model(**inputs).float().cpu().numpy())
    return np.concatenate(outputs)[np.argsort(order, kind="stable")]
