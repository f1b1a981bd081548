"""Parameters and test predictions of other experiments of this repository, from Git and DVC's cache."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas.predictions import EMOTION, TRAINED, VAD, read_emotion, read_vad
from emopipe.schemas.robustness import ANSWERS, CLEAN
from emopipe.schemas.tables import read_csv

WORKSPACE = "workspace"


def names() -> list[str]:
    """Return the experiments of this repository, sorted by name."""
    from dvc.repo import Repo

    with Repo() as repo:
        found = repo.experiments.ls(all_commits=True)
    return sorted({name for entries in found.values() for name, _ in entries if name})


def matching(patterns: Sequence[str]) -> list[str]:
    """Return the revisions that names or patterns (``seed-*``) stand for, each once, in order.

    Raises:
        UserError: if a pattern matches no experiment
    """
    revisions: list[str] = []
    for pattern in patterns:
        found = [name for name in names() if fnmatchcase(name, pattern)] if set(pattern) & set("*?[") else [pattern]
        if not found:
            raise UserError(f"{pattern}: no experiment has such a name; there are {', '.join(names()) or 'none'}")
        revisions += found
    return list(dict.fromkeys(revisions))


def read(path: Path, revision: str) -> io.StringIO:
    """Return the content of an output of an experiment, a commit, a branch, or ``workspace``.

    Raises:
        UserError: if there is no such revision, or DVC's cache does not hold its outputs
    """
    import dvc.api
    from dvc.exceptions import DvcException
    from dvc_data.index.index import DataIndexError

    try:
        if revision == WORKSPACE:
            return io.StringIO(path.read_text(encoding="utf-8"))
        return io.StringIO(dvc.api.read(path.as_posix(), rev=revision, encoding="utf-8"))
    except (DvcException, DataIndexError, OSError) as error:
        raise UserError(
            f"{revision}: {path} cannot be read ({error}); is it an experiment (`dvc exp list -A`) or a commit whose "
            "outputs are in the cache (`dvc pull`, `dvc repro`)?"
        ) from None


def predictions(revision: str) -> dict[str, pd.DataFrame]:
    """Return the test predictions of a revision's trained models, by target: ``emotion`` and ``vad``.

    Raises:
        UserError: if there is no such revision, or its tables cannot be read
    """
    found = {"emotion": read_emotion(read(EMOTION, revision)), "vad": read_vad(read(VAD, revision))}
    return {target: table[table["model"] == TRAINED] for target, table in found.items()}


def under_conditions(revision: str) -> dict[tuple[str, str], pd.DataFrame]:
    """Return the answers of a revision's audio model under conditions, by their name and level; none: not tested."""
    try:
        table = read_csv(read(ANSWERS, revision))
    except UserError:  # of a version without these tests; predictions were read
        return {}
    return {key: own for key, own in table.groupby(["condition", "level"], sort=False) if key != CLEAN}


def parameters(revision: str) -> dict[str, Any]:
    """Return the parameters of a revision by their full keys, less ``runtime``, which changes no result.

    Raises:
        UserError: if there is no such revision
    """
    import dvc.api
    from dvc.exceptions import DvcException

    try:
        values = dvc.api.params_show(rev=None if revision == WORKSPACE else revision)
    except DvcException as error:
        raise UserError(f"{revision}: {error}; `dvc exp list -A` names the experiments") from None
    return _flat({group: value for group, value in values.items() if group != "runtime"})


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        flat |= _flat(value, f"{key}.") if isinstance(value, dict) and value else {key: value}
    return flat
