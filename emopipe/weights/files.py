"""Weight files in Hugging Face layout, read without trusting them and loaded without tolerance."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, Field, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from emopipe.io.errors import UserError

SHOWN = 5


@dataclass(frozen=True)
class Origin:
    """Where weights come from; goes into the encoded store and into every model's provenance."""

    name: str  # as in params.yaml
    family: str
    revision: str  # hub commit, "ModelScope" or package version; empty for a local folder
    sha256: str  # of the weight file(s)
    licence: str

    def provenance(self) -> dict[str, str]:
        """Return the origin as plain values."""
        return asdict(self)


def weight_files(folder: Path) -> list[Path]:
    """Return the weight files of a folder: safetensors where there are any, else ``pytorch_model.bin``.

    Raises:
        UserError: if there is none, the index is broken, or a shard that it names is absent or in another folder
    """
    for name in ("model.safetensors", "pytorch_model.bin"):
        index = folder / f"{name}.index.json"
        if index.is_file():
            shards = _shards(index)
            for shard in shards:
                if Path(shard).name != shard:  # what was downloaded decides nothing about files outside its folder
                    raise UserError(f"{index}: names {shard!r}, which is not a file of this folder")
                if not (folder / shard).is_file():
                    raise UserError(f"{folder / shard}: no such file, but {index.name} names it")
            return [folder / shard for shard in shards]
        if (folder / name).is_file():
            return [folder / name]
    raise UserError(f"{folder}: no weights: neither model.safetensors nor pytorch_model.bin")


class _Index(BaseModel):
    weight_map: Annotated[dict[str, str], Field(min_length=1)]  # key of a tensor -> file


def _shards(index: Path) -> list[str]:
    try:
        return sorted(set(_Index.model_validate_json(index.read_bytes()).weight_map.values()))
    except ValidationError:
        raise UserError(
            f"{index}: not an index of shards, which names a file for every tensor; fetch it again"
        ) from None


def sha256(files: list[Path]) -> str:
    """Return the hash of the files' contents, one after the other."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as content:
            while chunk := content.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def packaged(package: str, file: str, expected: str) -> Path | None:
    """Return a weight file that an installed package brings along; None when it is not installed.

    The package is data to us: it is found through its metadata and never imported.

    Args:
        package: as the package index calls it
        file: relative to the folder the package is installed in
        expected: sha256 of the file

    Raises:
        UserError: if the file is another one
    """
    try:
        path = Path(str(metadata.distribution(package).locate_file(file)))
    except metadata.PackageNotFoundError:
        return None
    found = sha256([path]) if path.is_file() else "of no file"
    if found != expected:
        raise UserError(f"{path}: sha256 {found}, expected {expected}; reinstall {package}")
    return path


def read_state(folder: Path) -> dict[str, Tensor]:
    """Return every tensor of a folder's weight files by name.

    Raises:
        UserError: as :func:`read_tensors`
    """
    state: dict[str, Tensor] = {}
    for file in weight_files(folder):
        state.update(read_tensors(file))
    return state


def read_tensors(file: Path) -> dict[str, Any]:
    """Return the content of a weight file. Nothing but tensors and plain containers is ever unpickled.

    Raises:
        UserError: if it is cut short, is a Git LFS pointer, or holds anything else
    """
    with file.open("rb") as content:
        if content.read(8) == b"version ":
            raise UserError(f"{file}: a Git LFS pointer, not the weights; run `git lfs pull` in its folder")
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{file}: not a whole file of tensors: {reason}; fetch it again") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: holds a {type(content).__name__}, not tensors by name")
    return content


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Load weights; every tensor must find its place and every place its tensor.

    Raises:
        UserError: naming the missing, unexpected and misshaped keys
    """
    expected = module.state_dict()
    problems = {
        "missing": [key for key in expected if key not in state],
        "unexpected": [key for key in state if key not in expected],
        "misshaped": [
            f"{key} {list(state[key].shape)} instead of {list(expected[key].shape)}"
            for key in expected
            if key in state and state[key].shape != expected[key].shape
        ],
    }
    lines = [f"{kind}: {_few(keys)}" for kind, keys in problems.items() if keys]
    if lines:
        raise UserError(f"{name}: the weights do not fit {type(module).__name__}\n  " + "\n  ".join(lines))
    module.load_state_dict(state)


def _few(keys: list[str]) -> str:
    more = len(keys) - SHOWN
    return ", ".join(keys[:SHOWN]) + (f" and {more} more" if more > 0 else "")
