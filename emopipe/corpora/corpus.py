"""What the pipeline knows of a corpus, and the form of its reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emopipe.downloads.release import Release


@dataclass(frozen=True)
class Corpus:
    """A corpus that a user has on disk, or that is downloaded.

    ``read`` takes the folder and returns one mapping per utterance with the columns of
    :class:`emopipe.schemas.manifest.Utterance` that the corpus knows (``path``: the audio file,
    below the folder as given). It raises :class:`emopipe.io.errors.UserError` when the folder
    does not have the published layout.
    """

    key: str
    title: str
    size: str  # in a few words
    labels: tuple[str, ...]  # of the manifest's emotions and dimensions, those that it knows
    licence: str
    citation: str
    source: str  # where to get it
    layout: str  # what the folder holds, in a few words
    read: Callable[[Path], list[dict[str, Any]]]
    downloads: Release | None = None  # where it may be fetched without asking anybody
