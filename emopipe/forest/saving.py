"""The forest on disk, without pickle."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from types import ModuleType
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree._tree import Tree

from emopipe.io.errors import UserError
from emopipe.io.outputs import write_bytes
from emopipe.schemas.vad import INPUT_BRANCHES, feature_names

PATH = Path("models/forest.skops")
TRUSTED = ["sklearn.tree._tree.Tree"]  # nodes refer to each other by number: _check looks at every one
LEAF = -1


def save(forest: RandomForestClassifier | None, path: Path = PATH) -> None:
    """Write a forest, or an empty file where there is none; the same forest gives the same bytes."""
    write_bytes(b"" if forest is None else _reproducible(_skops().dumps(forest)), path)


def load(path: Path = PATH) -> RandomForestClassifier | None:
    """Load a forest; None where no utterance has an emotion.

    Raises:
        UserError: if the file is absent or is anything but a forest over the dimensions of one branch or of both
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `dvc repro fit_forest`") from None
    if not content:
        return None
    skops = _skops()
    try:
        forest = skops.loads(content, trusted=TRUSTED)
    except (skops.exceptions.UntrustedTypesFoundException, BadZipFile, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: not a forest of this pipeline: {str(error).splitlines()[0]}") from None
    if not isinstance(forest, RandomForestClassifier) or not _known(forest):
        raise UserError(f"{path}: not a forest over valence, arousal and dominance from text, audio or both")
    return forest


def _skops() -> ModuleType:
    """Import skops.io; it looks for estimators in all of scikit-learn, but not where that would load PyTorch."""
    name = "sklearn.externals.array_api_compat.torch"  # takes as long as all the rest
    hidden = sys.modules.setdefault(name, None) is None
    import skops.io

    if hidden:
        del sys.modules[name]
    return skops.io


def _known(forest: RandomForestClassifier) -> bool:
    names = list(getattr(forest, "feature_names_in_", ()))
    inputs = [feature_names(*branches) for branches in INPUT_BRANCHES.values()]
    return names in inputs and all(_sound(tree.tree_, len(names)) for tree in forest.estimators_)


def _sound(tree: Tree, width: int) -> bool:
    """Tell whether every node leads to later nodes or ends: scikit-learn follows the numbers without looking."""
    here = np.arange(tree.node_count)
    left, right, feature = tree.children_left, tree.children_right, tree.feature
    inner = left != LEAF
    forward = all(((child > here) & (child < tree.node_count))[inner].all() for child in (left, right))
    return forward and ((feature >= 0) & (feature < width))[inner].all() and (right == LEAF)[~inner].all()


def _reproducible(archive: bytes) -> bytes:
    """Return a skops archive without what differs from run to run: addresses in memory, times, padding bytes."""
    numbers: dict[str, str] = {}

    def number(found: re.Match[str]) -> str:
        return found[1] + numbers.setdefault(found[2], str(len(numbers)))

    result = io.BytesIO()
    with ZipFile(io.BytesIO(archive)) as source, ZipFile(result, "w", ZIP_DEFLATED) as target:
        # Objects are named, in the schema and as files, by where they lay in memory: number them by occurrence.
        schema = re.sub(r'("(?:__id__|file)": "?)(\d+)', number, source.read("schema.json").decode())
        arrays = set(source.namelist())
        for address, short in numbers.items():
            if (name := f"{address}.npy") in arrays:
                _add(target, f"{short}.npy", _without_padding(source.read(name)))
        _add(target, "schema.json", schema.encode())
    return result.getvalue()


def _without_padding(content: bytes) -> bytes:
    """Return a NumPy file whose records carry zeros between their fields, not what was in memory there."""
    array = np.load(io.BytesIO(content), allow_pickle=False)
    if array.dtype.names is None:
        return content
    clean = np.zeros(array.shape, array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    buffer = io.BytesIO()
    np.save(buffer, clean, allow_pickle=False)
    return buffer.getvalue()


def _add(target: ZipFile, name: str, content: bytes) -> None:
    target.writestr(ZipInfo(name), content, ZIP_DEFLATED)  # a ZipInfo of its own has the date 1980-01-01
