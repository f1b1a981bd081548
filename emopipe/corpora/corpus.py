"""The description of a corpus, and the form of its reader."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from emopipe.downloads.release import Release


@dataclass(frozen=True)
class Corpus:
    """A corpus that a user has on disk, or that is downloaded.

    ``read`` takes the folder and returns one row per utterance, as a table of
    :class:`emopipe.schemas.manifest.Utterance` that :func:`emopipe.schemas.tables.check` has checked; ``path`` is the
    audio file, below the folder as given. The reader checks the table because it knows which file and row a value comes
    from; nothing later checks it again. It raises :class:`emopipe.io.errors.UserError` when the folder does not have
    the published layout.
    """

    key: str
    title: str
    size: str  # in a few words
    labels: tuple[str, ...]  # of the manifest's emotions and dimensions, those that it has
    branch: Literal["audio", "text", "both"]  # for which it has data
    licence: str
    citation: str
    source: str  # where to get it
    layout: str  # what the folder holds, in a few words
    read: Callable[[Path], pd.DataFrame]
    release: Callable[[], Release] | None = None  # what is downloaded, where that takes no permission
