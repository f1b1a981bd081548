"""Texts as batches for the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from emopipe.training.data import ExampleDataset


class Example(NamedTuple):
    """A text's tokens, and its standardised valence, arousal and dominance where they are wanted."""

    tokens: dict[str, list[int]]  # input_ids, attention_mask, and token_type_ids where the encoder reads them
    vad: np.ndarray | None  # [3]


def examples(
    texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_tokens: int, vad: np.ndarray | None = None
) -> ExampleDataset:
    """Return texts as examples, with their lengths in tokens.

    Args:
        texts: one per example
        tokenizer: the encoder's
        max_tokens: where a text is cut off, special tokens included
        vad: standardised targets, [texts, 3]
    """
    encoded = tokenizer(list(texts), truncation=True, max_length=max_tokens)
    made = [
        Example({name: values[i] for name, values in encoded.items()}, None if vad is None else vad[i])
        for i in range(len(texts))
    ]
    return ExampleDataset(made, [len(example.tokens["input_ids"]) for example in made])


class Collate:
    """Pads the texts of a batch to its longest."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    def __call__(self, batch: list[Example]) -> dict[str, Tensor]:
        """Return the tokens, each [batch, tokens], and ``labels``, [batch, 3], where there are targets."""
        tensors = dict(self.tokenizer.pad([example.tokens for example in batch], return_tensors="pt"))
        if batch[0].vad is not None:
            tensors["labels"] = torch.from_numpy(np.stack([example.vad for example in batch])).float()
        return tensors
