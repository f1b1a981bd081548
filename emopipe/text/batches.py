"""Texts as batches for the encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from emopipe.schemas.notices import notice
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


def tell_unread(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> None:
    """Say how many texts are longer than what is read of them, and how many of their tokens are not read."""
    lengths = np.array([len(tokens) for tokens in tokenizer(list(texts), verbose=False)["input_ids"]], dtype=int)
    longer = lengths > max_tokens
    what = f"longer than text.max_tokens ({max_tokens}); {(lengths - max_tokens)[longer].sum():,} tokens are not read"
    notice(
        "text",
        int(longer.sum()),
        "texts",
        what,
        len(texts),
        next((t for t, cut in zip(texts, longer, strict=True) if cut), "")[:80],
    )


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
