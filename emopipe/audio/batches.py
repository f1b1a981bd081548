"""Utterances of the encoded store as batches for the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from emopipe.audio.parameters import Model
from emopipe.encoding.store import ORIGINAL, Store
from emopipe.training.examples import Items


class Example(NamedTuple):
    """An utterance and what is to be said of it."""

    utterance: str
    speed: float  # at which it is heard
    target: Any  # number of its class, or its values of a regression, [targets]


def items(utterances: Sequence[str], targets: np.ndarray, store: Store, speeds: Sequence[float] = (ORIGINAL,)) -> Items:
    """Return utterances with their targets and their lengths in frames.

    Args:
        utterances: of the store
        targets: what is to be said of them, [utterances, ...]
        store: what the frozen part of the backbone said of them
        speeds: at which each is heard
    """
    pairs = list(zip(utterances, targets, strict=True))
    examples = [Example(utterance, speed, target) for speed in speeds for utterance, target in pairs]
    return Items(examples, [store.length(example.utterance, example.speed) for example in examples])


class Collate:
    """Reads a batch from the store: padded frames, statistics, or both, as the model wants."""

    def __init__(self, store: Store, settings: Model) -> None:
        self.store = store
        self.with_frames = settings.features != "frozen"
        self.with_statistics = settings.features != "finetuned"

    def __call__(self, examples: list[Example]) -> dict[str, Tensor]:
        """Return ``frames`` with ``valid``, ``statistics``, and ``labels``; see :class:`AudioModel`."""
        batch = {"labels": torch.from_numpy(np.stack([example.target for example in examples]))}
        if self.with_frames:
            clips = [torch.from_numpy(self.store.frames(example.utterance, example.speed)) for example in examples]
            lengths = torch.tensor([len(clip) for clip in clips])
            batch["frames"] = torch.nn.utils.rnn.pad_sequence(clips, batch_first=True)
            batch["valid"] = torch.arange(int(lengths.max())) < lengths[:, None]
        if self.with_statistics:
            statistics = [self.store.statistics(example.utterance, example.speed) for example in examples]
            batch["statistics"] = torch.from_numpy(np.stack(statistics))
        return batch
