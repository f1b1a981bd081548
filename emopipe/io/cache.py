"""The download cache: one folder outside the repository, shared by every clone, and how tables speak of files in it."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from emopipe.io.errors import UserError

VARIABLE = "EMOPIPE_CACHE"
PREFIX = f"${VARIABLE}/"


def cache_folder() -> Path:
    """Return what ``EMOPIPE_CACHE`` names, or else the user's cache folder, on Linux ``~/.cache/emopipe``."""
    named = os.environ.get(VARIABLE)
    return Path(named).expanduser().absolute() if named else platformdirs.user_cache_path("emopipe")


def portable(path: Path) -> str:
    """Write an absolute path; one below the cache becomes ``$EMOPIPE_CACHE/...``, the same on every machine."""
    folder = cache_folder()
    return PREFIX + path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def located(path: str) -> Path:
    """Return where a path that begins with ``$EMOPIPE_CACHE/`` lies here.

    Raises:
        UserError: if the corpus it belongs to is not in this cache
    """
    within = Path(path.removeprefix(PREFIX))
    corpus = cache_folder().joinpath(*within.parts[:2])
    if not corpus.is_dir():
        raise UserError(f"{corpus}: not there, and {path} is wanted; `dvc repro -f fetch` fetches the corpus again")
    return cache_folder() / within
