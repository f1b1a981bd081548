"""WavLM.

Chen et al., "WavLM: Large-Scale Self-Supervised Pre-Training for Full Stack Speech Processing", 2021, arXiv:2110.13900.

Its blocks look like those of wav2vec 2.0 and are not: every attention adds a gated bias for the distance
between frames, from one table that belongs to the first block.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from emopipe.backbones import convolutional
from emopipe.backbones.backbone import TrainableBlocks
from emopipe.backbones.family import HUGGING_FACE, Family, Published
from emopipe.weights.files import Origin

# The library masks padding with booleans beside a bias of floats; PyTorch turns the one into the other.
warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask and attn_mask is deprecated")


class WavLMBlocks(TrainableBlocks):
    """Blocks of a WavLM."""

    def __init__(self, blocks: nn.ModuleList, norm: nn.Module, bias: Tensor) -> None:
        """Take blocks.

        Args:
            blocks: with the first block of the network they train the table, without it the table is frozen
            norm: behind the last block
            bias: by distance, [heads, 2 m + 1] for -m..m; what is further away counts as m
        """
        super().__init__(blocks, norm)
        self.owns_table = any("rel_attn_embed" in name for name, _ in blocks.named_parameters())
        self.register_buffer("bias", bias, persistent=False)  # it is the backbone's

    def states(self, x: Tensor, valid: Tensor | None) -> Iterator[Tensor]:
        """Yield the output of each block."""
        bias = None if self.owns_table else self._position_bias(*x.shape[:2])
        for block in self.blocks:
            x, bias = block(x, attention_mask=valid, position_bias=bias)
            yield x

    def part(self, start: int, stop: int) -> WavLMBlocks:
        """Return blocks ``start`` to ``stop - 1``."""
        return WavLMBlocks(self.blocks[start:stop], self._norm_of(stop), self.bias)

    def _position_bias(self, batch: int, frames: int) -> Tensor:
        """Return [batch * heads, frames, frames], as the first block would."""
        furthest = self.bias.shape[1] // 2
        places = torch.arange(frames, device=self.bias.device)
        distance = (places - places[:, None]).clamp(-furthest, furthest) + furthest
        return self.bias[:, distance].repeat(batch, 1, 1)


def load_folder(folder: Path, origin: Origin) -> convolutional.Convolutional:
    """Load a folder in Hugging Face layout."""
    model, extractor = convolutional.load(folder, "WavLMModel")
    bias = _bias_by_distance(model.encoder.layers[0], model.config.max_bucket_distance)
    blocks = WavLMBlocks(model.encoder.layers, convolutional.final_norm(model), bias)
    return convolutional.Convolutional(origin, model, extractor, blocks)


@torch.no_grad()
def _bias_by_distance(first: nn.Module, furthest: int) -> Tensor:
    ahead = first.attention.compute_bias(1, furthest + 1)[:, 0]  # [heads, distances 0..m]
    behind = first.attention.compute_bias(furthest + 1, 1)[:, :, 0]  # [heads, distances 0..-m]
    return torch.cat([behind.flip(1)[:, :-1], ahead], 1)


FAMILY = Family(
    "wavlm",
    published={
        "wavlm_base": Published("microsoft/wavlm-base", "CC BY-SA 3.0"),
        "wavlm_base_plus": Published("microsoft/wavlm-base-plus", "CC BY-SA 3.0"),
        "wavlm_large": Published("microsoft/wavlm-large", "CC BY-SA 3.0"),
    },
    layout=HUGGING_FACE,
    load=load_folder,
    linear_layers=("intermediate_dense", "output_dense"),  # its attention reads the weights of its layers, not outputs
)
