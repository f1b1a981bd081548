"""Weights that are divided among processes by FSDP, beside tensors that are not."""

from __future__ import annotations

from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def divided_as(like: Tensor, tensor: Tensor) -> Tensor:
    """Return a tensor on the device of another one of its shape, and divided as that is."""
    if isinstance(like, DTensor) and not isinstance(tensor, DTensor):
        tensor = tensor.to(like.device)  # every process has all of it: nothing is sent
        return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)
    return tensor.to(like)


def whole(tensor: Tensor) -> Tensor:
    """Return all of a tensor; of one that is divided, every process has to ask for it."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
