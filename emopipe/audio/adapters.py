"""Low-rank changes of the weights of trainable blocks, by the peft library.

A linear layer with weight W gives (W + alpha / rank · B A) x, with A [rank, in] and B [out, rank] trained and W as it
was. B begins at zero: the network is the pretrained one until a step is made.

Hu et al., "LoRA: Low-rank adaptation of large language models", ICLR 2022, equation 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from emopipe.audio.parameters import Lora
from emopipe.io.errors import UserError


def add(blocks: nn.Module, settings: Lora, own: Sequence[str]) -> None:
    """Add a low-rank change to linear layers of blocks, and leave nothing else to training.

    Args:
        blocks: changed in place
        settings: the ``train.tuning.lora`` group
        own: those that can be changed, which all are where the settings name none

    Raises:
        UserError: if a layer cannot be changed, or peft is not installed
    """
    peft = _library()
    targets = settings.targets or list(own)
    if unknown := sorted(set(targets) - set(own)):
        # Others may be there and stand in a computation that takes their weight and passes by their output.
        raise UserError(
            f"train.tuning.lora.targets: {', '.join(unknown)}: not one of this backbone's layers that can be changed, "
            f"{', '.join(own)}"
        )
    config = peft.LoraConfig(r=settings.rank, lora_alpha=settings.alpha, target_modules=targets)
    peft.inject_adapter_in_model(config, blocks)


def merge(blocks: nn.Module) -> None:
    """Add the changes to the weights, in place: what is left are the layers of the pretrained network."""
    layer = _library().tuners.tuners_utils.BaseTunerLayer
    for name, module in list(blocks.named_modules()):
        if isinstance(module, layer):
            module.merge()
            blocks.set_submodule(name, module.get_base_layer())


def _library() -> Any:
    try:
        import peft  # here: few ask for it
    except ImportError:
        raise UserError("train.tuning.method: lora: needs the package peft; run `pip install peft`") from None
    return peft
