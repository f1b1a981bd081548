"""Utterances of the encoded store as batches for the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from emopipe.audio.parameters import Model
from emopipe.encoding.store import ORIGINAL, Store
from emopipe.training.data import ExampleDataset


class Example(NamedTuple):
    """A row of the store and its target."""

    row: int
    target: Any  # number of its class, or its values of a regression, [targets]


def examples(
    utterances: Sequence[str],
    targets: np.ndarray,
    store: Store,
    conditions: Sequence[str] = (ORIGINAL,),
) -> ExampleDataset:
    """Return utterances with their targets and lengths in frames, under one condition after the other.

    Args:
        utterances: of the store
        targets: [utterances, ...]
        store: of the utterances' encodings
        conditions: under which each utterance is an example
    """
    rows = np.concatenate([store.rows(utterances, condition) for condition in conditions])
    pairs = zip(rows.tolist(), np.concatenate([targets] * len(conditions)), strict=True)
    return ExampleDataset([Example(*pair) for pair in pairs], store.lengths(rows).tolist())


class Collate:
    """Reads a batch from the store: padded frames, statistics, or both, as the model wants."""

    def __init__(self, store: Store, settings: Model) -> None:
        self.store = store
        self.with_frames = settings.features != "frozen"
        self.with_statistics = settings.features != "finetuned"

    def __call__(self, batch: list[Example]) -> dict[str, Tensor]:
        """Return ``frames`` with ``valid``, ``statistics``, and ``labels``; see :class:`AudioModel`."""
        rows = np.array([example.row for example in batch])
        tensors = {"labels": torch.from_numpy(np.stack([example.target for example in batch]))}
        if self.with_frames:
            clips = [torch.from_numpy(self.store.frames(row)) for row in rows]
            lengths = torch.from_numpy(self.store.lengths(rows))
            tensors["frames"] = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
            tensors["valid"] = torch.arange(int(lengths.max())) < lengths[:, None]
        if self.with_statistics:
            tensors["statistics"] = torch.from_numpy(self.store.statistics(rows))
        return tensors
