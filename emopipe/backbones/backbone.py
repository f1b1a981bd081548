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

SMALLEST_VARIANCE = 1e-24  # whose root has a gradient, and is 0 in float16


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
    """Consecutive blocks of a backbone, and its final norm where the last block is one of them."""

    extra_tokens = 0  # rows that stand before the first frame and take part in attention alone

    def __init__(self, blocks: nn.ModuleList, norm: nn.Module) -> None:
        super().__init__()
        self.blocks = blocks
        self.norm = norm

    @abstractmethod
    def states(self, x: Tensor, valid: Tensor | None) -> Iterator[Tensor]:
        """Yield the output of each block, [batch, extra tokens + frames, dim]; see :meth:`forward`."""

    @abstractmethod
    def part(self, start: int, stop: int) -> TrainableBlocks:
        """Return blocks ``start`` to ``stop - 1`` (shared, not copied), counted from 0."""

    def _norm_of(self, stop: int) -> nn.Module:
        """Return the final norm for a part that ends before block ``stop``: it stands behind the last block alone."""
        return self.norm if stop == len(self.blocks) else nn.Identity()

    def statistics(self, x: Tensor, valid: Tensor) -> Tensor:
        """Return mean and standard deviation over the real frames of every block's output, the last one's normed.

        Args:
            x: as of :meth:`forward`
            valid: likewise

        Returns:
            [batch, 2, blocks, dim]
        """
        share = frame_shares(valid, self.extra_tokens)
        *lower, last = self.states(x, valid)
        return torch.stack([statistics(state, share) for state in (*lower, self.norm(last))], 2)

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

    def part(self, start: int, stop: int) -> MaskedBlocks:
        """Return blocks ``start`` to ``stop - 1``."""
        return MaskedBlocks(self.config, self.blocks[start:stop], self._norm_of(stop))


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

    def cut(self, output_layer: int | None) -> Self:
        """Leave off the blocks above one, which are then neither run nor stored nor trained.

        The final norm and a classifier of emotions belong to the last block: what is cut has neither.

        Args:
            output_layer: number of the block that is the last one, from 1; None: all are left

        Returns:
            this backbone

        Raises:
            UserError: if there is no such block
        """
        if output_layer is None or output_layer == self.block_count:
            return self
        if output_layer > self.block_count:
            raise UserError(
                f"model.output_layer: {output_layer}, but {self.origin.name} has {self.block_count} blocks; "
                f"choose 1 to {self.block_count}, or null"
            )
        self.blocks, self.head = self.blocks.part(0, output_layer), None
        return self

    def resolve_trainable(self, wanted: int | Literal["all"]) -> int:
        """Return how many blocks are trainable.

        Raises:
            UserError: if more are wanted than there are
        """
        if wanted == "all":
            return self.block_count
        if wanted > self.block_count:
            raise UserError(
                f"model.trainable_layers: {wanted}, but of {self.origin.name} {self.block_count} blocks are used; "
                f"choose 0 to {self.block_count}, or all"
            )
        return wanted

    def trainable_blocks(self, count: int) -> TrainableBlocks:
        """Return the last ``count`` blocks, free to train (shared, not copied); the final norm trains with them."""
        blocks = self.blocks.part(self.block_count - count, self.block_count)
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
        valid = torch.arange(x.shape[1], device=x.device) < torch.tensor(lengths, device=x.device)[:, None]
        share = frame_shares(valid, self.blocks.extra_tokens)
        layers = []
        states = chain([x], self.blocks.states(x, None if len(set(lengths)) == 1 else valid))
        for depth, state in enumerate(states):
            if depth == self.block_count - trainable:
                inputs = state.float()
            output = self.blocks.norm(state) if depth == self.block_count else state
            layers.append(statistics(output, share))
        stacked = torch.stack(layers, 2)
        return [Encoding(inputs[i, :length], stacked[i]) for i, length in enumerate(lengths)]


def frame_shares(valid: Tensor, extra_tokens: int) -> Tensor:
    """Return the weight of every row in the mean over a clip's frames, [batch, rows, 1].

    Args:
        valid: True where a row is real, [batch, rows]
        extra_tokens: how many rows stand before the first frame; they have no weight
    """
    ends = valid.sum(1, keepdim=True)
    frames = valid & (torch.arange(valid.shape[1], device=valid.device) >= extra_tokens)
    return (frames / (ends - extra_tokens))[:, :, None]


def statistics(x: Tensor, shares: Tensor) -> Tensor:
    """Return mean and standard deviation over frames, float32 [batch, 2, dim].

    Args:
        x: [batch, rows, dim]
        shares: of :func:`frame_shares`
    """
    x = x.float()
    mean = (x * shares).sum(1)
    variance = ((x - mean[:, None]).square() * shares).sum(1)
    return torch.stack([mean, variance.clamp_min(SMALLEST_VARIANCE).sqrt()], 1)
