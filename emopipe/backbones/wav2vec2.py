"""wav2vec 2.0.

Baevski et al., "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations", NeurIPS 2020.
"""

from __future__ import annotations

from pathlib import Path

from transformers import Wav2Vec2Model

from emopipe.backbones import convolutional
from emopipe.weights.files import Origin


def load_folder(folder: Path, origin: Origin) -> convolutional.Convolutional:
    """Load a folder in Hugging Face layout."""
    return convolutional.masked(folder, origin, Wav2Vec2Model)
