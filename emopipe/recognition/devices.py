"""Where a recogniser computes."""

from __future__ import annotations

from typing import Literal

import torch

from emopipe.io.errors import UserError

Device = Literal["auto", "cpu", "cuda"]


def chosen(device: Device) -> torch.device:
    """Return the device of that name; ``auto`` is a GPU where there is one.

    Raises:
        UserError: if ``cuda`` is asked for and there is none
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device: cuda, but PyTorch sees no GPU; choose auto or cpu")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
