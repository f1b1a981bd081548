"""Paths that a user gives in params.yaml."""

from __future__ import annotations

from pathlib import Path

from stages.contracts.errors import UserError


def is_path(name: str) -> bool:
    """Tell a path from a name: it is absolute, begins with ``.`` or ``~``, or is a folder that exists."""
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
    """Return why a relative path cannot be found from where an experiment runs, if that is the case.

    ``dvc exp run --queue`` and ``--temp`` work in a copy of the repository below ``.dvc/tmp/exps``.
    """
    if path.is_absolute() or "/.dvc/tmp/exps/" not in Path.cwd().as_posix() + "/":
        return ""
    return ": a queued or temporary experiment runs in another folder; give an absolute path"
