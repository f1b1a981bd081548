"""The download cache, a folder outside the repository that all clones share, and the paths of its files in tables."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from emopipe.io.errors import UserError

VARIABLE = "EMOPIPE_CACHE"
PREFIX = f"${VARIABLE}/"


def cache_folder() -> Path:
    """Return the folder that ``EMOPIPE_CACHE`` names, or else the user's cache folder (Linux: ``~/.cache/emopipe``)."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser().absolute() if named else platformdirs.user_cache_path("emopipe")


def portable(path: Path) -> str:
    """Return an absolute path as text; one below the cache becomes ``$EMOPIPE_CACHE/...``, equal on every machine."""
    folder = cache_folder()
    return PREFIX + path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def located(path: str) -> Path:
    """Return the file on this machine of a path that begins with ``$EMOPIPE_CACHE/``.

    Raises:
        UserError: if the corpus it belongs to is not in this cache
    """
    within = Path(path.removeprefix(PREFIX))
    corpus = cache_folder().joinpath(*within.parts[:2])
    if not corpus.is_dir():
        raise UserError(f"{corpus}: not there, but {path} is needed; `dvc repro -f fetch` fetches the corpus again")
    return cache_folder() / within
