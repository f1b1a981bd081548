"""Paths that a user gives in params.yaml."""

from __future__ import annotations

from pathlib import Path

from emopipe.io.errors import UserError


def is_path(name: str) -> bool:
    """Return whether a name is a path: absolute, beginning with ``.`` or ``~``, or a folder that exists."""
    return name.startswith(("/", ".", "~")) or Path(name).is_dir()


def local_folder(path: str, key: str) -> Path:
    """Return the folder at ``path``.

    Raises:
        UserError: if there is none, naming the parameter ``key``
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder
    raise UserError(f"{key}: no folder at {path}{workspace_hint(folder)}")


def workspace_hint(path: Path) -> str:
    """Return a note on where an absent path was looked for, which may be another place than the user means.

    ``dvc exp run --queue`` and ``--temp`` work in a copy of the tracked files below ``.dvc/tmp/exps``.
    """
    if not path.is_absolute() and "/.dvc/tmp/exps/" in f"{Path.cwd().as_posix()}/":
        return " in the temporary copy of the repository that this experiment runs in; give an absolute path"
    return f" (looked for {path.absolute()})"
