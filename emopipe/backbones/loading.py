"""From a name to a loaded network: find the weights, determine the family, load without tolerance."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from emopipe.backbones.backbone import Backbone
from emopipe.backbones.catalogue import FAMILIES, Entry, find
from emopipe.backbones.family import Family
from emopipe.io.errors import UserError
from emopipe.io.paths import is_path, local_folder
from emopipe.weights import hub
from emopipe.weights.files import Origin, sha256

COMMIT = re.compile(r"[0-9a-f]{40}")

HubName = Literal["hf", "ms"]


def load(name: str, place: Path | None = None) -> Backbone:
    """Load the backbone that ``model.backbone`` names: a key, a local folder, or a hub id.

    Args:
        name: as in params.yaml
        place: where its weights lie, of the places that :func:`locate` gives; None: where it finds them first

    Raises:
        UserError: if the name is unknown, the weights are not available, or do not fit the network
    """
    place = place or locate(name)
    if is_path(name):
        return _load_folder(place, name, revision="", licence="see the folder")
    entry = find(name)
    published = entry.published
    if published.packaged is not None and place.is_file():
        packaged = published.packaged
        origin = Origin(entry.key, entry.family, packaged.revision(), packaged.sha256, published.licence)
        return packaged.load(place, origin)
    revision = place.name if COMMIT.fullmatch(place.name) else "ModelScope"  # whose library keeps no commit
    return _load_folder(place, entry.key, revision, published.licence)


def reload_verified(provenance: dict[str, Any]) -> Backbone:
    """Load the backbone that encoded a corpus once more, with the blocks that ran then.

    Args:
        provenance: of the encoded store

    Raises:
        UserError: if its weights are no longer those that encoded the corpus
    """
    then = provenance["backbone"]
    backbone = load(then["name"])
    if backbone.origin.sha256 != then["sha256"]:
        raise UserError(
            f"{then['name']}: the weights changed since they encoded the corpus "
            f"(sha256 {then['sha256']} then, {backbone.origin.sha256} now); run `dvc repro -f encode`"
        )
    return backbone.cut(provenance["blocks"])


def locate(name: str, ask: HubName | None = None) -> Path:
    """Return where the weights of a backbone lie, a folder or a package's file; they are fetched if need be.

    Args:
        name: a key, a local folder, or a hub id
        ask: the hub to ask first, even when the weights are on disk; None: what is on disk will do

    Raises:
        UserError: if the name is unknown, or saying where it was looked for and how to put it there
    """
    if is_path(name):
        return local_folder(name, "model.backbone")
    entry = find(name)
    return _in_package(entry) or (None if ask else on_disk(entry)) or _fetch(name, entry, ask or "hf")


def on_disk(entry: Entry) -> Path | None:
    """Return where the weights of a published backbone lie: in an installed package, or whole in a cache."""
    if path := _in_package(entry):
        return path
    for source in _sources(entry, "hf"):
        try:
            folder = source(offline=True)
            entry.layout.weight_files(folder)
        except (hub.UnavailableError, UserError):
            continue
        if entry.layout.is_whole(folder):
            return folder
    return None


def _in_package(entry: Entry) -> Path | None:
    packaged = entry.published.packaged
    return None if packaged is None else packaged.path()


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
        f"With a connection, run `emopipe backbones {name}`; or name a folder that holds {entry.layout}"
    )


def _sources(entry: Entry, first: HubName) -> list[Callable[..., Path]]:
    published, layout = entry.published, entry.layout
    sources: dict[str, Callable[..., Path]] = {}
    if published.repository:
        sources["hf"] = partial(hub.huggingface, published.repository, layout.names, layout.weights)
    if published.modelscope:
        sources["ms"] = partial(hub.modelscope, published.modelscope, [*layout.names, *layout.weights[0]])
    return [sources[name] for name in sorted(sources, key=lambda name: name != first)]


def _load_folder(folder: Path, name: str, revision: str, licence: str) -> Backbone:
    family = _family(folder)
    origin = Origin(name, family.model_type, revision, sha256(family.layout.weight_files(folder)), licence)
    return family.load(folder, origin)


def _family(folder: Path) -> Family:
    """Return the family of the network in a folder.

    Raises:
        UserError: if there is none, or none that is supported
    """
    layouts = dict.fromkeys(str(family.layout) for family in FAMILIES.values())
    found = None
    for family in FAMILIES.values():
        model_type = family.layout.model_type(folder)
        if model_type == family.model_type:
            return family
        found = found or model_type
    if found is None:
        raise UserError(f"{folder}: no backbone; a backbone's folder holds {', or '.join(layouts)}")
    raise UserError(
        f"{folder / 'config.json'}: model_type {found!r} is not supported; supported: {', '.join(sorted(FAMILIES))}"
    )
