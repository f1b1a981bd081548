"""Sounds for tests."""

from __future__ import annotations

import numpy as np
import torch


def clip(samples: int = 16_000, seed: int = 0) -> torch.Tensor:
    """Return white noise at 16 kHz."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(samples).astype(np.float32) * 0.1)
