"""Run the frozen part of the backbone once over every utterance."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from itertools import islice
from pathlib import Path

# oneDNN keeps code and buffers for every length of clip it has met, a thousand of them: memory would grow with the
# corpus for a while (measured: by a third over two hours of audio). It reads this once, when PyTorch is loaded.
os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] = os.environ["LRU_CACHE_CAPACITY"] = "16"

import numpy as np
import pandas as pd
import soundfile
import soxr
import torch
from tqdm import tqdm

from emopipe.backbones.backbone import Backbone
from emopipe.backbones.loading import load as load_backbone
from emopipe.encoding import store
from emopipe.encoding.parameters import BackboneChoice, Encode
from emopipe.encoding.store import ORIGINAL, Encoding
from emopipe.io.errors import UserError, run_stage
from emopipe.parameters import Precision, Runtime
from emopipe.schemas.manifest import SAMPLE_RATE, audio_path, read_manifest
from emopipe.training import processes
from emopipe.training.devices import set_up

MANIFEST = Path("data/audio/manifest.csv")
PARTS = store.FOLDER / "parts"  # where processes that work together put their shares
BATCH = 16  # clips that an accelerator runs at once


def main() -> None:
    """Encode data/audio into data/encoded."""
    choice, encode, runtime = BackboneChoice.load(), Encode.load(), Runtime.load()
    name, wanted = choice.backbone, choice.trainable_layers
    if processes.together("stages.encode", runtime):
        return
    device = set_up(runtime, seed=0)  # nothing here is drawn at random
    backbone = load_backbone(name).to(device)
    trainable = backbone.trainable(wanted)
    longest, speeds = round(encode.max_seconds * SAMPLE_RATE), [ORIGINAL, *encode.speed_perturbation]
    if backbone.max_samples is not None and longest > backbone.max_samples:
        limit = backbone.max_samples / SAMPLE_RATE
        raise UserError(f"encode.max_seconds: {encode.max_seconds:g}, but {name} hears {limit:g} s at most")
    encoding = {
        "backbone": backbone.origin.provenance(),
        "blocks": backbone.blocks,
        "trainable_layers": trainable,
        "dim": backbone.dim,
        "max_seconds": encode.max_seconds,
        "speed_perturbation": encode.speed_perturbation,
        "precision": encode.precision,
        "versions": {package: metadata.version(package) for package in ("torch", "transformers")},
    }
    manifest = read_manifest(MANIFEST)
    write = partial(store.write, dim=backbone.dim, layers=backbone.blocks + 1, encoding=encoding)
    frozen = Frozen(backbone, trainable, longest, speeds, encode.precision, device)
    if processes.count() == 1:
        write(store.FOLDER, frozen.encodings(manifest))
    else:
        _share(manifest, write, frozen)
    if processes.is_first():
        print(f"encode: {len(manifest)} utterances, {backbone.blocks - trainable} of {backbone.blocks} blocks frozen")


def _share(manifest: pd.DataFrame, write: Callable[[Path, Iterable[Encoding]], None], frozen: Frozen) -> None:
    """Let every process write a store of its share, and the first one a store of all."""
    folders = [PARTS / str(rank) for rank in range(processes.count())]
    shares = np.array_split(np.arange(len(manifest)), len(folders))
    write(folders[processes.rank()], frozen.encodings(manifest.iloc[shares[processes.rank()]]))
    processes.barrier()
    if processes.is_first():
        write(store.FOLDER, (encoding for folder in folders for encoding in store.Store(folder)))
        shutil.rmtree(PARTS)


@dataclass(frozen=True)
class Frozen:
    """The frozen part of a backbone, and what it is given to hear."""

    backbone: Backbone
    trainable: int  # blocks that are not frozen
    longest: int  # samples of a clip
    speeds: list[float]
    precision: Precision
    device: torch.device

    def encodings(self, manifest: pd.DataFrame) -> Iterator[Encoding]:
        """Give what it says of every utterance, at every speed."""
        # A processor is busy with one clip; an accelerator is not. What comes out for a clip is the same.
        size = 1 if self.device.type == "cpu" else BATCH
        heard = self._clips(manifest)
        autocast = partial(torch.autocast, self.device.type, torch.bfloat16, enabled=self.precision == "bfloat16")
        with tqdm(
            total=len(manifest) * len(self.speeds),
            desc="encode",
            unit="clip",
            disable=not processes.is_first() or not sys.stderr.isatty(),
        ) as progress:
            while batch := list(islice(heard, size)):
                clips = [torch.from_numpy(samples).to(self.device) for _, _, samples in batch]
                with autocast():
                    encodings = self.backbone.encode(clips, self.trainable)
                for (utterance, speed, _), (frames, statistics) in zip(batch, encodings, strict=True):
                    yield Encoding(utterance, speed, frames.cpu().numpy(), statistics.cpu().numpy())
                progress.update(len(batch))

    def _clips(self, manifest: pd.DataFrame) -> Iterator[tuple[str, float, np.ndarray]]:
        """Give every utterance at every speed: resampled, so that its pitch and its formants move too.

        Ko et al., "Audio augmentation for speech recognition", Interspeech 2015.
        """
        for utterance, path in manifest[["utterance", "path"]].itertuples(index=False, name=None):
            samples, _ = soundfile.read(audio_path(MANIFEST, path), frames=self.longest, dtype="float32")
            for speed in self.speeds:
                clip = samples if speed == ORIGINAL else soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE)
                yield utterance, speed, clip[: self.longest]


if __name__ == "__main__":
    run_stage(main)
