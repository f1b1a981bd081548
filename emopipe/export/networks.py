"""A trained audio model with everything below and above it as one network, from one clip to the answer."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from itertools import chain, islice

import torch
from torch import Tensor, nn
from torch.export import Dim

from emopipe.audio.model import AudioModel, Trained, TunedModel
from emopipe.audio.tasks import Regression
from emopipe.backbones.backbone import TrainableBlocks, frame_shares, statistics
from emopipe.backbones.emotion2vec import Emotion2vecBlocks
from emopipe.encoding.encoder import Encoder
from emopipe.export.front_ends import front_end
from emopipe.recordings.resampling import MIN_SAMPLES
from emopipe.training.networks import TargetScaler


class Speech(nn.Module):
    """An audio model with its backbone: what :class:`emopipe.recognition.speech.Recognizer` computes of one clip.

    The layers are rounded to float16 on the way, as those of the encoded store are.
    """

    exact = ("front.log_mel.transform", "front.log_mel.filters")  # of float16 a softer band would drown in a louder one

    def __init__(self, trained: Trained, encoder: Encoder) -> None:
        """Take copies.

        Args:
            trained: the model
            encoder: with the backbone below it
        """
        super().__init__()
        backbone, model = deepcopy(encoder.backbone), deepcopy(trained.model)
        self.max_samples = encoder.max_samples
        self.front = front_end(backbone, encoder.max_samples)
        self.blocks = Unpadded(backbone.blocks)
        self.count = backbone.block_count
        self.frozen = self.count - encoder.trainable  # blocks below those that are left to training
        # where the others are trained, or their layers are not used, the pretrained ones need not run
        self.last = self.count if trained.settings.features in ("frozen", "both") else self.frozen
        self.model = model
        for part in self._parts():
            part.blocks = Unpadded(part.blocks)
        rated = isinstance(trained.task, Regression)
        self.answer = Ratings(trained.task.scale) if rated else Chances(trained.temperature)
        self.output = "vad" if rated else "probabilities"
        self.sizes = {"samples": {1: Dim("samples", min=MIN_SAMPLES)}}
        self.eval().requires_grad_(requires_grad=False)

    def example(self) -> dict[str, Tensor]:
        """Return a clip of a length that nothing else has."""
        return {"samples": torch.linspace(-0.1, 0.1, min(12_345, self.max_samples - 1))[None]}

    def lowest(self) -> list[nn.Module]:
        """Return the blocks that no other stands below."""
        trained = [] if self.frozen else [part.blocks.blocks[0] for part in self._parts()]
        return [self.blocks.blocks[0], *trained]

    def _parts(self) -> list[TunedModel | AudioModel]:
        """Return what has trained blocks: the model, or each of its members."""
        parts = [self.model] if isinstance(self.model, TunedModel) else self.model.members
        return [part for part in parts if part.blocks is not None]

    def forward(self, samples: Tensor) -> Tensor:
        """Map [1, samples] at 16 kHz to calibrated probabilities, [1, labels], or ratings from 1 to 5, [1, targets]."""
        x = self.front(samples[0, : self.max_samples])[None]
        valid = torch.ones_like(x[..., 0], dtype=torch.bool)
        frames, layers = self._encoded(x, frame_shares(valid, self.blocks.extra_tokens))
        return self.answer(self.model(frames=_rounded(frames), valid=valid, statistics=_rounded(layers)))

    def _encoded(self, x: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Return what :meth:`emopipe.backbones.backbone.Backbone.encode` does, but of blocks that do not run, zeros."""
        layers = []
        for depth, state in enumerate(islice(chain([x], self.blocks.states(x, None)), self.last + 1)):
            if depth == self.frozen:
                frames = state
            layers.append(statistics(self.blocks.norm(state) if depth == self.count else state, shares))
        layers += [torch.zeros_like(layers[0])] * (self.count - self.last)
        return frames, torch.stack(layers, 2)


class Unpadded(TrainableBlocks):
    """Blocks that are given one clip at a time: there is nothing to be masked, whatever the mask is."""

    def __init__(self, own: TrainableBlocks) -> None:
        super().__init__(own.blocks, own.norm)
        self.own = own
        self.extra_tokens = own.extra_tokens
        if isinstance(own, Emotion2vecBlocks):
            own.alibi = Distances(own.alibi(batch_size=1, time_steps=2, dtype=torch.float32, device="cpu")[0, :, 0, 1])

    def states(self, x: Tensor, valid: Tensor | None) -> Iterator[Tensor]:
        """Yield the output of each block."""
        return self.own.states(x, None)

    def part(self, start: int, stop: int) -> TrainableBlocks:
        """Return blocks ``start`` to ``stop - 1``."""
        return Unpadded(self.own.part(start, stop))


class Distances:
    """The unscaled bias of attention in an emotion2vec, for any number of frames: −slope_h · |i − j|.

    FunASR keeps the largest table that was needed and cuts others out of it, which a graph cannot.

    Press, Smith and Lewis, "Train Short, Test Long: Attention with Linear Biases Enables Input Length Extrapolation",
    ICLR 2022; here in both directions.
    """

    def __init__(self, next_frame: Tensor) -> None:
        """Take the bias between a frame and the next one, [heads]."""
        self.next_frame = next_frame.clone()

    def __call__(self, batch_size: int, time_steps: int, dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return [1, heads, frames, frames]."""
        place = torch.arange(time_steps, device=device)
        return (self.next_frame[:, None, None] * (place - place[:, None]).abs())[None].to(dtype)


class Chances(nn.Module):
    """Calibrated probabilities: softmax(outputs / temperature)."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, outputs: Tensor) -> Tensor:
        """Map [clips, labels] to [clips, labels]."""
        return (outputs / self.temperature).softmax(-1)


class Ratings(nn.Module):
    """Ratings from 1 to 5: outputs · std + mean, which may leave that scale."""

    def __init__(self, scale: TargetScaler) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, outputs: Tensor) -> Tensor:
        """Map [clips, targets] to [clips, targets]."""
        return outputs * self.scale.std + self.scale.mean


def _rounded(x: Tensor) -> Tensor:
    return x.half().float()
