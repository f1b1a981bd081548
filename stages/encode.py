"""Run the frozen part of the backbone once over every utterance."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
from tqdm import tqdm

from stages.audio import store
from stages.backbones.backbone import Backbone
from stages.backbones.catalogue import load as load_backbone
from stages.contracts.audio import SAMPLE_RATE
from stages.contracts.errors import UserError, run
from stages.contracts.manifest import audio_path, read_manifest
from stages.contracts.parameters import load
from stages.training.device import prepare

MANIFEST = Path("data/audio/manifest.csv")


def main() -> None:
    """Encode data/audio into data/encoded."""
    name, wanted, encode, runtime = load("model.backbone", "model.trainable_layers", "encode", "runtime")
    device = prepare(runtime, seed=0)  # nothing here is drawn at random
    backbone = load_backbone(name).to(device)
    trainable = backbone.trainable(wanted)
    longest = round(encode.max_seconds * SAMPLE_RATE)
    if backbone.max_samples is not None and longest > backbone.max_samples:
        limit = backbone.max_samples / SAMPLE_RATE
        raise UserError(f"encode.max_seconds: {encode.max_seconds:g}, but {name} hears {limit:g} s at most")
    encoding = {
        "backbone": backbone.origin.provenance(),
        "blocks": backbone.blocks,
        "trainable_layers": trainable,
        "dim": backbone.dim,
        "max_seconds": encode.max_seconds,
        "versions": {package: metadata.version(package) for package in ("torch", "transformers")},
    }
    manifest = read_manifest(MANIFEST)
    store.write(
        store.FOLDER,
        _encodings(manifest, backbone, trainable, longest, device),
        backbone.dim,
        backbone.blocks + 1,
        encoding,
    )
    print(f"encode: {len(manifest)} utterances, {backbone.blocks - trainable} of {backbone.blocks} blocks frozen")


def _encodings(
    manifest: pd.DataFrame, backbone: Backbone, trainable: int, longest: int, device: torch.device
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    rows = manifest[["utterance", "path"]].itertuples(index=False)
    for row in tqdm(rows, total=len(manifest), desc="encode", unit="clip", disable=not sys.stderr.isatty()):
        samples, _ = soundfile.read(audio_path(MANIFEST, row.path), frames=longest, dtype="float32")
        frames, statistics = backbone.encode(torch.from_numpy(samples).to(device), trainable)
        yield row.utterance, frames.cpu().numpy(), statistics.cpu().numpy()


if __name__ == "__main__":
    run(main)
