"""HuBERT.

Hsu et al., "HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units", 2021,
arXiv:2106.07447.
"""

from __future__ import annotations

from pathlib import Path

from transformers import HubertModel

from emopipe.backbones import convolutional
from emopipe.weights.files import Origin


def load_folder(folder: Path, origin: Origin) -> convolutional.Convolutional:
    """Load a folder in Hugging Face layout."""
    return convolutional.masked(folder, origin, HubertModel)
