"""data2vec, the network for audio.

Baevski et al., "data2vec: A General Framework for Self-supervised Learning in Speech, Vision and Language", ICML 2022.
"""

from __future__ import annotations

from pathlib import Path

from transformers import Data2VecAudioModel

from emopipe.backbones import convolutional
from emopipe.weights.files import Origin


def load_folder(folder: Path, origin: Origin) -> convolutional.Convolutional:
    """Load a folder in Hugging Face layout."""
    return convolutional.masked(folder, origin, Data2VecAudioModel)
