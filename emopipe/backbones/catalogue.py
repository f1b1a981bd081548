"""Which names stand for which backbone. To add a family, write its file and name its constant here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from emopipe.backbones import convolutional, emotion2vec, wavlm, whisper
from emopipe.backbones.family import HUGGING_FACE, Family, Layout, Published
from emopipe.io.errors import UserError

FAMILIES: dict[str, Family] = {
    family.model_type: family
    for family in (
        whisper.FAMILY,
        convolutional.WAV2VEC2,
        wavlm.FAMILY,
        convolutional.HUBERT,
        convolutional.DATA2VEC,
        emotion2vec.FAMILY,
    )
}


class Entry(NamedTuple):
    """A name that ``model.backbone`` may have."""

    key: str
    published: Published
    layout: Layout
    family: str  # empty of a hub id that is not listed: its folder names it


ENTRIES = {
    key: Entry(key, published, family.layout, family.model_type)
    for family in FAMILIES.values()
    for key, published in family.published.items()
}

_KEYS = {
    name: entry.key
    for entry in ENTRIES.values()
    for name in (entry.published.repository, entry.published.modelscope, *entry.published.aliases)
    if name
}


def find(name: str) -> Entry:
    """Return what a name stands for; a hub id that is not listed stands for itself.

    >>> find("iic/emotion2vec_plus_base").key
    'emotion2vec_plus_base'
    >>> find("wavlm-base-plus").published.repository
    'microsoft/wavlm-base-plus'

    Raises:
        UserError: if the name is none of these
    """
    for key in (name, _KEYS.get(name), name.replace("-", "_")):
        if key in ENTRIES:
            return ENTRIES[key]
    if "/" in name:
        return Entry(name, Published(name, "see the hub"), HUGGING_FACE, "")
    raise UserError(
        f"model.backbone: {name!r} is not known; choose one of {', '.join(ENTRIES)}, "
        "a hub id (organisation/name), or a local folder (./folder)"
    )


def base_model(origin: Mapping[str, str]) -> str | None:
    """Return the hub id of a network by its provenance; None where the hub does not have it, as of a folder."""
    return find(origin["name"]).published.repository or None if origin["revision"] else None
