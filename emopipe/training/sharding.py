"""Tensors that FSDP shards among processes, beside tensors of which every process has all."""

from __future__ import annotations

from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def sharded_like(other: Tensor, tensor: Tensor) -> Tensor:
    """Return a tensor on the device of another one of its shape, and sharded as that is."""
    if isinstance(other, DTensor) and not isinstance(tensor, DTensor):
        tensor = tensor.to(other.device)  # every process has all of it: nothing is sent
        return distribute_tensor(tensor, other.device_mesh, other.placements, src_data_rank=None)
    return tensor.to(other)


def full(tensor: Tensor) -> Tensor:
    """Return all of a tensor; of one that is sharded, every process has to ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
