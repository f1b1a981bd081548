"""Encoding a corpus: every utterance of a manifest, under every condition, into a store."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import soxr
from tqdm import tqdm

from emopipe.encoding import store
from emopipe.encoding.encoder import Encoder
from emopipe.encoding.store import ORIGINAL, StoredEncoding
from emopipe.io import ranks
from emopipe.schemas.manifest import SAMPLE_RATE, audio_path, read_manifest
from emopipe.schemas.notices import notice
from emopipe.training import devices


def encode_corpus(encoder: Encoder, manifest: Path, with_frames: bool, folder: Path = store.FOLDER) -> int:
    """Write a store of the utterances of a manifest; processes that work together encode a share each.

    Args:
        encoder: encodes the clips
        manifest: of recordings at 16 kHz
        with_frames: whether to keep the frames, which the trainable blocks read
        folder: of the store

    Returns:
        number of utterances
    """
    rows, backbone = read_manifest(manifest), encoder.backbone
    write = partial(
        store.write,
        dim=backbone.dim,
        layers=backbone.block_count + 1,
        provenance=encoder.provenance,
        with_frames=with_frames,
    )
    if ranks.world_size() == 1:
        write(folder, _encodings(encoder, manifest, rows))
        return len(rows)
    parts = [folder / "parts" / str(rank) for rank in range(ranks.world_size())]
    share = np.array_split(np.arange(len(rows)), len(parts))[ranks.rank()]
    write(parts[ranks.rank()], _encodings(encoder, manifest, rows.iloc[share]))
    devices.barrier()
    if ranks.is_first():
        write(folder, (encoding for part in parts for encoding in store.Store(part).encodings()))
        shutil.rmtree(folder / "parts")
    return len(rows)


def tell_unheard(manifest: Path, max_seconds: float) -> None:
    """Say how many recordings are longer than what is encoded of them, and how many seconds of them are not heard."""
    seconds = read_manifest(manifest).set_index("utterance")["seconds"]
    longer = seconds[seconds > max_seconds]
    unheard = (longer - max_seconds).sum()
    what = f"are longer than encode.max_seconds ({max_seconds:g} s); {unheard:,.0f} s are not heard"
    if len(longer) == 1:
        what = what.replace("are longer", "is longer")
    notice("audio", len(longer), "recordings", what, len(seconds), longer.idxmax() if len(longer) else "")


def _encodings(encoder: Encoder, manifest: Path, rows: pd.DataFrame) -> Iterator[StoredEncoding]:
    speeds = {ORIGINAL: 1.0} | {f"speed={speed:g}": speed for speed in encoder.settings.speed_perturbation}
    keys = [(utterance, condition) for utterance in rows["utterance"] for condition in speeds]
    recordings = (audio_path(manifest, path) for path in rows["path"])
    encodings = tqdm(
        encoder(_clips(recordings, encoder.max_samples, list(speeds.values()))),
        total=len(keys),
        desc="encode",
        unit="clip",
        disable=not ranks.is_first() or not sys.stderr.isatty(),
    )
    for key, (frames, statistics) in zip(keys, encodings, strict=True):
        yield StoredEncoding(*key, frames.numpy(), statistics.numpy())


def _clips(recordings: Iterator[Path], max_samples: int, speeds: list[float]) -> Iterator[np.ndarray]:
    """Yield every recording at every speed: resampled, so that its pitch and its formants move too.

    Ko et al., "Audio augmentation for speech recognition", Interspeech 2015.
    """
    for recording in recordings:
        samples, _ = soundfile.read(recording, frames=max_samples, dtype="float32")
        for speed in speeds:
            yield samples if speed == 1.0 else soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE)
