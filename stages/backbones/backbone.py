"""The one interface of all encoder families.

A backbone is cut in two. The *prefix*, everything below the trainable blocks, is frozen: it sees one
unpadded clip at a time, in eval mode, once. The *suffix*, the last blocks, is trained on padded
batches of what the prefix gave, with the padding masked, so that what comes out for a clip does not
depend on the clips beside it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from stages.contracts.checkpoint import Origin
from stages.contracts.errors import UserError


class Encoding(NamedTuple):
    """What the frozen network says of one clip."""

    frames: Tensor  # [frames, dim]: the input of the first trainable block
    statistics: Tensor  # [2, blocks + 1, dim]: mean and standard deviation over the frames of every layer


class Suffix(nn.Module, ABC):
    """The last blocks of a backbone and its final norm."""

    def __init__(self, blocks: nn.ModuleList, norm: nn.Module) -> None:
        super().__init__()
        self.blocks = blocks
        self.norm = norm

    @abstractmethod
    def states(self, x: Tensor, valid: Tensor | None) -> Iterator[Tensor]:
        """Yield the output of each block, [batch, frames, dim]; see :meth:`forward`."""

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Run the blocks.

        Args:
            x: the prefix's output, [batch, frames, dim]
            valid: True where a frame is real, [batch, frames]; None when all are

        Returns:
            [batch, frames, dim]; what stands at invalid frames means nothing
        """
        for state in self.states(x, valid):
            x = state
        return self.norm(x)


class Backbone(ABC):
    """A pretrained encoder; ``dim`` and the number of blocks are read from the checkpoint."""

    def __init__(self, origin: Origin, embedding: nn.Module, whole: Suffix, dim: int) -> None:
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
    @abstractmethod
    def max_samples(self) -> int | None:
        """The longest clip the network takes, in samples; None when there is no limit."""

    @abstractmethod
    def embed(self, waveform: Tensor) -> Tensor:
        """Return the input of the first block, [frames, dim], for one clip of samples at 16 kHz."""

    @abstractmethod
    def cut(self, trainable: int) -> Suffix:
        """Return the last ``trainable`` blocks (shared, not copied) and the final norm."""

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

    def suffix(self, trainable: int) -> Suffix:
        """Return the trainable part: the last ``trainable`` blocks; the final norm trains with them."""
        suffix = self.cut(trainable)
        suffix.requires_grad_(trainable > 0)
        return suffix

    def to(self, device: torch.device) -> Backbone:
        """Move all weights."""
        self.embedding.to(device)
        self.whole.to(device)
        return self

    @torch.no_grad()
    def encode(self, waveform: Tensor, trainable: int) -> Encoding:
        """Run the whole network once over one unpadded clip.

        Args:
            waveform: samples at 16 kHz, [samples]
            trainable: how many of the last blocks are left to training

        Returns:
            the input of those blocks, and the statistics of all layers: layer 0 is the input of the
            first block, the last one is the network's output (after its final norm)
        """
        x = self.embed(waveform)
        states = [x, *(state[0] for state in self.whole.states(x[None], None))]
        frames = states[self.blocks - trainable]
        layers = torch.stack([*states[:-1], self.whole.norm(states[-1])])
        return Encoding(frames, torch.stack([layers.mean(1), layers.std(1, correction=0)]))
