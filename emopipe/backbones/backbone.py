"""The one interface of all encoder families.

A backbone is cut in two. Everything below the trainable blocks is frozen: it runs once, in eval mode, and what lies
below the first block sees one unpadded clip at a time. The trainable blocks, the last ones, train on padded batches
of its output, with the padding masked, so that the result for a clip does not depend on the clips beside it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from emopipe.io.errors import UserError
from emopipe.weights.files import Origin

if TYPE_CHECKING:
    from transformers import PretrainedConfig


class Encoding(NamedTuple):
    """The encoding of one clip."""

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
            x: input of the first of them, [batch, extra tokens + frames, dim]
            valid: True where a row is real, [batch, extra tokens + frames]; None when all are

        Returns:
            the frames, [batch, frames, dim], and which are real, [batch, frames]; the values of other frames mean
            nothing
        """
        for state in self.states(x, valid):
            x = state
        return self.norm(x)[:, self.extra_tokens :], None if valid is None else valid[:, self.extra_tokens :]


class MaskedBlocks(TrainableBlocks):
    """Blocks of transformers whose attention takes a mask and nothing else."""

    def __init__(self, config: PretrainedConfig, blocks: nn.ModuleList, norm: nn.Module) -> None:
        super().__init__(blocks, norm)
        self.config = config

    def states(self, x: Tensor, valid: Tensor | None) -> Iterator[Tensor]:
        """Yield the output of each block."""
        from transformers.masking_utils import create_bidirectional_mask  # heavy, and loaded with the blocks

        mask = create_bidirectional_mask(config=self.config, inputs_embeds=x, attention_mask=valid)
        for block in self.blocks:
            x = block(x, attention_mask=mask)
            yield x

    def last(self, count: int) -> MaskedBlocks:
        """Return the last ``count`` blocks."""
        return MaskedBlocks(self.config, self.blocks[len(self.blocks) - count :], self.norm)


class Backbone(nn.Module, ABC):
    """A pretrained encoder, frozen and in eval mode whatever it is a part of.

    Attributes:
        origin: where the weights come from
        front: the modules below the first block
        blocks: all blocks
        dim: width of a frame, as the checkpoint has it
        head: the classifier of emotions, where the checkpoint brings one along
    """

    def __init__(
        self, origin: Origin, front: nn.Module, blocks: TrainableBlocks, dim: int, head: Head | None = None
    ) -> None:
        super().__init__()
        self.origin = origin
        self.front = front
        self.blocks = blocks
        self.dim = dim
        self.head = head
        self.requires_grad_(requires_grad=False).eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode: what trains is :meth:`trainable_blocks`."""
        return super().train(mode=False)

    @property
    def block_count(self) -> int:
        """Number of transformer blocks."""
        return len(self.blocks.blocks)

    @property
    def parameter_count(self) -> int:
        """Number of weights, in all."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def max_samples(self) -> int | None:
        """The longest clip that the network takes, in samples; None when there is no limit."""
        return None

    @abstractmethod
    def front_end(self, waveform: Tensor) -> Tensor:
        """Return the input of the first block, [extra tokens + frames, dim], for one clip of samples at 16 kHz."""

    def resolve_trainable(self, wanted: int | Literal["all"]) -> int:
        """Return how many blocks are trainable.

        Raises:
            UserError: if more are wanted than there are
        """
        if wanted == "all":
            return self.block_count
        if wanted > self.block_count:
            raise UserError(
                f"model.trainable_layers: {wanted}, but {self.origin.name} has {self.block_count} blocks; "
                f"choose 0 to {self.block_count}, or all"
            )
        return wanted

    def trainable_blocks(self, count: int) -> TrainableBlocks:
        """Return the last ``count`` blocks, free to train (shared, not copied); the final norm trains with them."""
        blocks = self.blocks.last(count)
        blocks.requires_grad_(count > 0)
        return blocks

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
        clips = [self.front_end(waveform) for waveform in waveforms]
        x, lengths = pad_sequence(clips, batch_first=True), [len(clip) for clip in clips]
        places, ends = torch.arange(x.shape[1], device=x.device), torch.tensor(lengths, device=x.device)[:, None]
        valid = places < ends
        share = (valid & (places >= self.blocks.extra_tokens)) / (ends - self.blocks.extra_tokens)  # of a frame
        layers = []
        states = chain([x], self.blocks.states(x, None if len(set(lengths)) == 1 else valid))
        for depth, state in enumerate(states):
            if depth == self.block_count - trainable:
                inputs = state.float()
            output = self.blocks.norm(state) if depth == self.block_count else state
            layers.append(_statistics(output.float(), share[:, :, None]))
        statistics = torch.stack(layers, 2)
        return [Encoding(inputs[i, :length], statistics[i]) for i, length in enumerate(lengths)]


def _statistics(x: Tensor, share: Tensor) -> Tensor:
    """Return mean and standard deviation over frames, [batch, 2, dim].

    Args:
        x: [batch, frames, dim]
        share: weight of a frame in the mean, [batch, frames, 1]
    """
    mean = (x * share).sum(1)
    deviation = ((x - mean[:, None]).square() * share).sum(1).sqrt()
    return torch.stack([mean, deviation], 1)
