"""Encoding a corpus: every utterance of a manifest, under every condition, into a store."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import soundfile
import soxr
from tqdm import tqdm

from emopipe.conditions.catalogue import apply_in_training, levels_of
from emopipe.conditions.condition import generator_of
from emopipe.encoding import store
from emopipe.encoding.encoder import Encoder
from emopipe.encoding.parameters import Encode
from emopipe.encoding.store import ORIGINAL, StoredEncoding
from emopipe.io import ranks
from emopipe.io.outputs import write_bytes
from emopipe.parameters import Runtime
from emopipe.schemas.manifest import SAMPLE_RATE, audio_path, read_manifest
from emopipe.schemas.notices import notice
from emopipe.training import devices

if TYPE_CHECKING:
    from emopipe.cluster.connection import Cluster

AUGMENTED = "augmented"  # an utterance under one of ``encode.conditions``, drawn for it; the second is augmented=2
SEED = 0  # of these draws

Version = Callable[[np.ndarray, str], np.ndarray]  # from samples and the name of the utterance to other samples


def encode_corpus(
    encoder: Encoder,
    manifest: Path,
    with_frames: bool,
    parts: Path,
    folder: Path = store.FOLDER,
    cluster: Cluster | None = None,
) -> int:
    """Write a store of the utterances of a manifest, shard by shard; a shard that is there is not made again.

    Processes that work together take every so-manieth shard; the nodes of a cluster whichever is next.

    Args:
        encoder: encodes the clips
        manifest: of recordings at 16 kHz
        with_frames: whether to keep the frames, which the trainable blocks read
        parts: folder for the shards until all are there; those in it are taken for this encoder's and this manifest's
        folder: of the store, on the same disk
        cluster: whose nodes encode, each with a copy of the encoder; None: this process

    Returns:
        number of utterances
    """
    rows = read_manifest(manifest)
    recordings = list(zip(rows["utterance"], (audio_path(manifest, path) for path in rows["path"]), strict=True))
    shards = [recordings[first : first + store.SHARD] for first in range(0, max(len(rows), 1), store.SHARD)]
    places = [parts / f"{number:05}" for number in range(len(shards))]
    missing = [number for number, place in enumerate(places) if not (place / store.INDEX).is_file()]
    write = partial(_write_shard, with_frames=with_frames)
    if cluster is None:
        own = [number for number in missing if number % ranks.world_size() == ranks.rank()]
        with _progress(sum(len(shards[number]) for number in own)) as bar:
            for number in own:
                utterances, paths = zip(*shards[number], strict=True) if shards[number] else ((), ())
                write(encoder, places[number], utterances, paths)
                bar.update(len(utterances))
        devices.barrier()
    else:
        pieces = ((number, [(name, path.read_bytes()) for name, path in shards[number]]) for number in missing)
        shared = (encoder, Runtime.load(), with_frames)
        with _progress(sum(len(shards[number]) for number in missing)) as bar:
            for number, files in cluster.map(_shard_on_node, shared, pieces):
                _put(places[number], files)
                bar.update(len(shards[number]))
    if ranks.is_first():
        store.assemble(folder, places, encoder.provenance)
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


def _progress(utterances: int) -> tqdm:
    shown = ranks.is_first() and sys.stderr.isatty()
    return tqdm(total=utterances, desc="encode", unit="utterance", disable=not shown)


def _write_shard(
    encoder: Encoder, folder: Path, utterances: Sequence[str], recordings: Iterable[Path | io.BytesIO],
    with_frames: bool,
) -> None:  # fmt: skip
    backbone = encoder.backbone
    encodings = _encodings(encoder, utterances, recordings)
    store.write_shard(folder, encodings, backbone.dim, backbone.block_count + 1, with_frames)


def _encodings(
    encoder: Encoder, utterances: Sequence[str], recordings: Iterable[Path | io.BytesIO]
) -> Iterator[StoredEncoding]:
    versions = _versions(encoder.settings)
    keys = [(utterance, condition) for utterance in utterances for condition in versions]
    clips = _clips(utterances, recordings, encoder.max_samples, list(versions.values()))
    for key, (frames, statistics) in zip(keys, encoder(clips), strict=True):
        yield StoredEncoding(*key, frames.numpy(), statistics.numpy())


def _versions(settings: Encode) -> dict[str, Version]:
    """Return what is made of an utterance, by the name of the condition under which it stands in the store.

    Speeds are reached by resampling, so that pitch and formants move too (Ko et al., "Audio augmentation for speech
    recognition", Interspeech 2015).
    """
    versions: dict[str, Version] = {ORIGINAL: lambda samples, _: samples}
    for speed in settings.speed_perturbation:
        versions[f"speed={speed:g}"] = partial(_at_speed, speed=speed)
    if settings.conditions:
        choices = levels_of(settings.conditions)
        for draw in range(settings.condition_draws):
            name = f"{AUGMENTED}={draw + 1}" if draw else AUGMENTED
            versions[name] = partial(_augmented, choices=choices, draw=draw)
    return versions


def _at_speed(samples: np.ndarray, _: str, speed: float) -> np.ndarray:
    return soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE)


def _augmented(samples: np.ndarray, utterance: str, choices: Sequence[tuple[str, str]], draw: int) -> np.ndarray:
    return apply_in_training(*drawn(utterance, choices, draw), samples, utterance, SEED)


def drawn(utterance: str, choices: Sequence[tuple[str, str]], draw: int) -> tuple[str, str]:
    """Return one of several conditions with its level; which one depends on the name of the utterance alone.

    Args:
        utterance: its name
        choices: conditions and levels
        draw: number of the draw, from 0; none is drawn twice
    """
    return choices[int(generator_of(SEED, AUGMENTED, "", utterance).permutation(len(choices))[draw])]


def _clips(
    utterances: Iterable[str], recordings: Iterable[Path | io.BytesIO], max_samples: int, versions: Sequence[Version]
) -> Iterator[np.ndarray]:
    """Yield every version of every recording."""
    for utterance, recording in zip(utterances, recordings, strict=True):
        samples, _ = soundfile.read(recording, frames=max_samples, dtype="float32")
        for version in versions:
            yield version(samples, utterance)


def _shard_on_node(shared: tuple[Encoder, Runtime, bool], recordings: Sequence[tuple[str, bytes]]) -> dict[str, bytes]:
    """Return the files of a shard, made on a node of a cluster."""
    encoder, runtime, with_frames = shared
    own = Encoder(encoder.backbone, encoder.trainable, encoder.settings, devices.set_up(runtime, seed=0))
    with TemporaryDirectory() as folder:
        utterances = [name for name, _ in recordings]
        _write_shard(own, Path(folder), utterances, (io.BytesIO(content) for _, content in recordings), with_frames)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def _put(folder: Path, files: dict[str, bytes]) -> None:
    """Write the files of a shard, its index last."""
    for name in sorted(files, key=lambda name: name == store.INDEX):
        write_bytes(files[name], folder / name)
