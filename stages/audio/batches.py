"""Utterances of the encoded store as batches for the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor

from stages.audio.store import Store
from stages.contracts.parameters import Model
from stages.training.fitting import Items


class Example(NamedTuple):
    """An utterance and its class."""

    utterance: str
    label: int


def items(rows: pd.DataFrame, labels: Sequence[str], store: Store) -> Items:
    """Return the utterances of a split table as examples, with their lengths in frames."""
    number = {label: i for i, label in enumerate(labels)}
    examples = [Example(row.utterance, number[row.emotion]) for row in rows.itertuples(index=False)]
    return Items(examples, [store.length(example.utterance) for example in examples])


class Collate:
    """Reads a batch from the store: padded frames, statistics, or both, as the model wants."""

    def __init__(self, store: Store, settings: Model) -> None:
        self.store = store
        self.with_frames = settings.features != "layers"
        self.with_statistics = settings.features != "suffix"

    def __call__(self, examples: list[Example]) -> dict[str, Tensor]:
        """Return ``frames`` with ``valid``, ``statistics``, and ``labels``; see :class:`AudioModel`."""
        batch = {"labels": torch.tensor([example.label for example in examples])}
        if self.with_frames:
            clips = [torch.from_numpy(self.store.frames(example.utterance)) for example in examples]
            lengths = torch.tensor([len(clip) for clip in clips])
            batch["frames"] = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
            batch["valid"] = torch.arange(int(lengths.max())) < lengths[:, None]
        if self.with_statistics:
            statistics = [torch.from_numpy(self.store.statistics(example.utterance)) for example in examples]
            batch["statistics"] = torch.stack(statistics)
        return batch
