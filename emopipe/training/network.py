"""What both branches train: an embedding and a head, in batches larger than the memory if need be; several as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Network(nn.Module):
    """A network of two parts, ``embed`` and ``head``.

    With ``micro_batch`` a training step holds the activations of so many examples at a time. The gradient computes
    each part a second time, with the same random numbers. The head and the loss see the whole batch: unlike sums of
    gradients over small batches, this is exact for every loss and for batch norm (after Gao et al., "Scaling deep
    contrastive learning batch size under memory limited setup", RepL4NLP 2021).
    """

    head: nn.Module
    micro_batch: int | None = None

    def embed(self, **batch: Tensor) -> Tensor:
        """Return one vector per example, [batch, width]."""
        raise NotImplementedError

    def forward(self, **batch: Tensor) -> Tensor:
        """Return the outputs, [batch, outputs], of what :meth:`embed` takes."""
        return self.head(self._in_parts(batch) if self.training and self.micro_batch else self.embed(**batch))

    def _in_parts(self, batch: dict[str, Tensor]) -> Tensor:
        def part(*tensors: Tensor) -> Tensor:
            return self.embed(**dict(zip(batch, tensors, strict=True)))

        parts = zip(*(tensor.split(self.micro_batch) for tensor in batch.values()), strict=True)
        return torch.cat([checkpoint(part, *tensors, use_reentrant=False) for tensors in parts])


def count_trainable_parameters(model: nn.Module) -> int:
    """Return the number of parameters that learn."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


class Ensemble(nn.Module):
    """Several networks as one."""

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def embed(self, **batch: Tensor) -> Tensor:
        """Return the mean of what the heads are given, [batch, width]."""
        return torch.stack([member.embed(**batch) for member in self.members]).mean(0)

    def forward(self, **batch: Tensor) -> Tensor:
        """Return the mean of the outputs, [batch, outputs]."""
        return torch.stack([member(**batch) for member in self.members]).mean(0)
