"""What a network learns from and predicts: examples, batches of them, and what a loss is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

Objective = Callable[[Tensor, Tensor], Tensor]  # (outputs, targets) -> scalar loss
Batch = dict[str, Tensor]


class ExampleDataset(Dataset):
    """A list of examples that knows their lengths, so that batches can be made of equals."""

    def __init__(self, examples: Sequence[Any], lengths: Sequence[int]) -> None:
        self.examples = examples
        self.lengths = list(lengths)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Any:
        return self.examples[index]
