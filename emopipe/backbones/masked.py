"""Blocks of Hugging Face encoders whose attention takes a mask and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from transformers import PretrainedConfig
from transformers.masking_utils import create_bidirectional_mask

from emopipe.backbones.backbone import TrainableBlocks


class MaskedBlocks(TrainableBlocks):
    """The last blocks of Whisper, wav2vec 2.0, HuBERT or data2vec."""

    def __init__(self, config: PretrainedConfig, blocks: nn.ModuleList, norm: nn.Module) -> None:
        super().__init__(blocks, norm)
        self.config = config

    def states(self, x: Tensor, valid: Tensor | None) -> Iterator[Tensor]:
        """Yield the output of each block."""
        mask = create_bidirectional_mask(config=self.config, inputs_embeds=x, attention_mask=valid)
        for block in self.blocks:
            x = block(x, attention_mask=mask)
            yield x

    def last(self, count: int) -> MaskedBlocks:
        """Return the last ``count`` blocks."""
        return MaskedBlocks(self.config, self.blocks[len(self.blocks) - count :], self.norm)
