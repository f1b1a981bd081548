"""The recordings as the pipeline keeps them: 16 kHz, one channel, FLAC."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from emopipe.schemas.manifest import audio_path, read_manifest

MANIFEST = Path("data/audio/manifest.csv")


def files(utterances: Iterable[str], manifest: Path = MANIFEST) -> list[Path]:
    """Return the file of each utterance, in order.

    Args:
        utterances: of the manifest
        manifest: of the recordings

    Raises:
        UserError: if there is no such manifest
        KeyError: if an utterance is not in it
    """
    paths = read_manifest(manifest).set_index("utterance")["path"]
    return [audio_path(manifest, paths[utterance]) for utterance in utterances]


def samples(file: Path) -> np.ndarray:
    """Return a recording, full scale ±1, float32 [samples]."""
    return soundfile.read(file, dtype="float32")[0]
