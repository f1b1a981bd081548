"""The one interface of all encoder families.

A backbone is cut in two. The *prefix*, everything below the trainable blocks, is frozen: it runs once,
in eval mode, and what lies below the first block sees one unpadded clip at a time. The *suffix*, the
last blocks, is trained on padded batches of what the prefix gave, with the padding masked, so that what
comes out for a clip does not depend on the clips beside it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from emopipe.io.errors import UserError
from emopipe.weights.files import Origin


class Encoding(NamedTuple):
    """What the frozen network says of one clip."""

    frames: Tensor  # [extra tokens + frames, dim]: the input of the first trainable block
    statistics: Tensor  # [2, blocks + 1, dim]: mean and standard deviation over the frames of every layer


class Head(NamedTuple):
    """The emotion classifier that some checkpoints bring along; it maps the mean of the output's frames."""

    emotions: list[str]  # one per output; empty where the output stands for none
    weight: Tensor  # [outputs, dim]
    bias: Tensor  # [outputs]


class TrainableBlocks(nn.Module, ABC):
    """The last blocks of a backbone and its final norm."""

    extra_tokens = 0  # rows that stand before the first frame and take part in attention alone

    def __init__(self, blocks: nn.ModuleList, norm: nn.Module) -> None:
        super().__init__()
        self.blocks = blocks
        self.norm = norm

    @abstractmethod
    def states(self, x: Tensor, valid: Tensor | None) -> Iterator[Tensor]:
        """Yield the output of each block, [batch, extra tokens + frames, dim]; see :meth:`forward`."""

    @abstractmethod
    def last(self, count: int) -> TrainableBlocks:
        """Return the last ``count`` blocks (shared, not copied) and the final norm."""

    def forward(self, x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Run the blocks.

        Args:
            x: the prefix's output, [batch, extra tokens + frames, dim]
            valid: True where a row is real, [batch, extra tokens + frames]; None when all are

        Returns:
            the frames, [batch, frames, dim], and which are real, [batch, frames]; what stands at invalid
            frames means nothing
        """
        for state in self.states(x, valid):
            x = state
        return self.norm(x)[:, self.extra_tokens :], None if valid is None else valid[:, self.extra_tokens :]


class Backbone(ABC):
    """A pretrained encoder; ``dim`` and the number of blocks are read from the checkpoint."""

    head: Head | None = None

    def __init__(self, origin: Origin, embedding: nn.Module, whole: TrainableBlocks, dim: int) -> None:
        """Take the parts of a loaded network.

        Args:
            origin: where the weights come from
            embedding: all modules below the first block
            whole: all blocks
            dim: width of a frame
        """
        self.origin = origin
        self.embedding = embedding.eval().requires_grad_(False)
        self.whole = whole.eval().requires_grad_(False)
        self.dim = dim

    @property
    def blocks(self) -> int:
        """Number of transformer blocks."""
        return len(self.whole.blocks)

    @property
    def parameters(self) -> int:
        """Number of weights, in all."""
        return sum(p.numel() for part in (self.embedding, self.whole) for p in part.parameters())

    @property
    def max_samples(self) -> int | None:
        """The longest clip the network takes, in samples; None when there is no limit."""
        return None

    @abstractmethod
    def embed(self, waveform: Tensor) -> Tensor:
        """Return the input of the first block, [extra tokens + frames, dim], for one clip of samples at 16 kHz."""

    def trainable(self, wanted: int | Literal["all"]) -> int:
        """Return how many blocks are trainable.

        Raises:
            UserError: if more are wanted than there are
        """
        if wanted == "all":
            return self.blocks
        if wanted > self.blocks:
            raise UserError(
                f"model.trainable_layers: {wanted}, but {self.origin.name} has {self.blocks} blocks; "
                f"choose 0 to {self.blocks}, or all"
            )
        return wanted

    def trainable_blocks(self, trainable: int) -> TrainableBlocks:
        """Return the trainable part: the last ``trainable`` blocks; the final norm trains with them."""
        suffix = self.whole.last(trainable)
        suffix.requires_grad_(trainable > 0)
        return suffix

    def to(self, device: torch.device) -> Backbone:
        """Move all weights."""
        self.embedding.to(device)
        self.whole.to(device)
        return self

    @torch.no_grad()
    def encode(self, waveforms: Sequence[Tensor], trainable: int) -> list[Encoding]:
        """Run the whole network once.

        What lies below the first block reads its neighbourhood, so each clip passes there alone; the blocks
        then run on all clips together, padding masked.

        Args:
            waveforms: clips of samples at 16 kHz, [samples] each
            trainable: how many of the last blocks are left to training

        Returns:
            for each clip the input of those blocks, and the statistics of all layers: layer 0 is the input
            of the first block, the last one is the network's output (after its final norm)
        """
        embedded = [self.embed(waveform) for waveform in waveforms]
        lengths = [len(clip) for clip in embedded]
        x = pad_sequence(embedded, batch_first=True)
        valid = None
        if len(set(lengths)) > 1:
            valid = torch.arange(max(lengths), device=x.device) < torch.tensor(lengths, device=x.device)[:, None]
        states = [x, *self.whole.states(x, valid)]
        layers = torch.stack([*states[:-1], self.whole.norm(states[-1])]).float()
        return [
            Encoding(
                states[self.blocks - trainable][i, :length].float(),
                _statistics(layers[:, i, self.whole.extra_tokens : length]),
            )
            for i, length in enumerate(lengths)
        ]


def _statistics(layers: Tensor) -> Tensor:
    """Return mean and standard deviation over frames, [2, layers, dim], of [layers, frames, dim]."""
    return torch.stack([layers.mean(1), layers.std(1, correction=0)])
