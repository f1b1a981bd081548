"""Paths that a user gives in params.yaml."""

from __future__ import annotations

from pathlib import Path

from emopipe.io.errors import UserError

COPY = "the temporary copy of the repository that this experiment runs in, which holds what Git tracks and no more"


def is_path(name: str) -> bool:
    """Return whether a name is a path: absolute, beginning with ``.`` or ``~``, or a folder that exists.

    In the temporary copy of an experiment a folder of the repository that the copy lacks counts, too.
    """
    repository = copied_repository()
    inside = repository is not None and (repository / name).is_dir()
    return name.startswith(("/", ".", "~")) or Path(name).is_dir() or inside


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
    """Return a note on where an absent path was looked for, which may be another place than the user means."""
    repository = copied_repository()
    if repository is None or path.is_absolute():
        return f" (looked for {path.absolute()})"
    return f" in {COPY}; give an absolute path, such as {repository / path}"


def copied_repository() -> Path | None:
    """Return the repository of which the working folder is a temporary copy; None where it is none.

    ``dvc exp run --queue`` and ``--temp`` work in a copy of the tracked files below ``.dvc/tmp/exps``.
    """
    repository, found, _ = f"{Path.cwd().as_posix()}/".partition("/.dvc/tmp/exps/")
    return Path(repository) if found else None
