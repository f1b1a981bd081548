"""Model repositories of the Hugging Face hub and of ModelScope, kept in the caches of their own libraries."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from textwrap import shorten

from emopipe.io.errors import UserError
from emopipe.weights.files import sha256

# The first kind that there is. Repositories hold more: other precisions, adapters, weights of other programs.
WEIGHTS = (
    ("model.safetensors", "model-*-of-*.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model-*-of-*.bin", "pytorch_model.bin.index.json"),
)

# Owners that the hub gave to models which had none. Both names lead to the same repository there, but a cache knows it
# by the name that it was asked for.
ADOPTERS = (
    "FacebookAI", "albert", "almanach", "distilbert", "google-bert", "google-t5", "openai-community", "transfo-xl",
    "xlnet",
)  # fmt: skip


class UnavailableError(Exception):
    """A repository is neither in the cache nor could it be fetched."""

    def __init__(self, repository: str, cache: str | Path, reason: Exception | str) -> None:
        kind = f"{type(reason).__name__}: " if isinstance(reason, Exception) else ""
        self.reason = kind + shorten(str(reason), 200)
        super().__init__(f"{repository} is not in {cache} and could not be fetched ({self.reason})")


def snapshot(repository: str, files: Sequence[str], key: str) -> Path:
    """Return the local snapshot of a Hugging Face repository, fetched when it is not there yet.

    Args:
        repository: organisation/name, or a name alone; in the cache it may lie under either
        files: names or patterns of what is needed beside the weights
        key: the parameter that names the repository, for messages

    Returns:
        a folder whose name is the commit

    Raises:
        UserError: if it is neither in the cache nor to be had
    """
    for name in (repository, *_other_names(repository)):
        with suppress(UnavailableError):
            return huggingface(name, files, offline=True)
    try:
        return huggingface(repository, files)
    except UnavailableError as error:
        raise UserError(
            f"{key}: {error}; with a connection, run `hf download {repository}`, "
            "or give the folder that holds its config.json and weights"
        ) from None


def model(repository: str, revision: str | None, files: Sequence[str], optional: Sequence[str] = ()) -> Path:
    """Return the local snapshot of a model that was published by this pipeline, fetched when it is not there yet.

    Args:
        repository: owner/name
        revision: a branch, a tag or a commit; None: the main branch
        files: names of what is needed
        optional: names of what is taken if it is there

    Raises:
        UserError: if it is neither in the cache nor to be had, or is not such a model
    """
    from huggingface_hub import constants, snapshot_download

    try:
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=[*files, *optional]))
    except Exception as error:  # whatever a connection makes the library raise
        raise UserError(f"model: {UnavailableError(repository, constants.HF_HUB_CACHE, error)}") from None
    if missing := [name for name in files if not (folder / name).is_file()]:
        raise UserError(f"model: {repository} holds no {', '.join(missing)}: no model that emopipe published")
    _verify([folder / name for name in (*files, *optional) if (folder / name).is_file()])
    return folder


def _other_names(repository: str) -> list[str]:
    """Return the names that the hub has, or had, for the same repository.

    >>> _other_names("FacebookAI/roberta-base")
    ['roberta-base']
    >>> "FacebookAI/roberta-base" in _other_names("roberta-base")
    True
    >>> _other_names("someone/roberta-base")
    []
    """
    owner, _, name = repository.rpartition("/")
    if not owner:
        return [f"{adopter}/{name}" for adopter in ADOPTERS]
    return [name] if owner in ADOPTERS else []


def huggingface(
    repository: str, files: Sequence[str], weights: Sequence[Sequence[str]] = WEIGHTS, offline: bool = False
) -> Path:
    """Return the local snapshot of a repository of the Hugging Face hub; its name is the commit.

    Args:
        repository: organisation/name, or a name alone
        files: names or patterns of what is needed beside the weights
        weights: patterns of the weight files, in order of preference
        offline: look into the cache and no further

    Raises:
        UnavailableError: saying where it was looked for, and why it could not be fetched
    """
    from huggingface_hub import HfApi, constants, snapshot_download

    try:
        commit = "main" if offline else HfApi().model_info(repository).sha
        for patterns in weights:
            wanted = [*files, *patterns]
            folder = Path(
                snapshot_download(repository, revision=commit, allow_patterns=wanted, local_files_only=offline)
            )
            found = sorted(file for pattern in patterns for file in folder.glob(pattern))
            if found and not offline:
                _verify(found)
                snapshot_download(repository, allow_patterns=wanted)  # whole: this commit is now the cache's `main`
            if found:
                return folder
    except Exception as error:  # whatever a connection makes the library raise
        raise UnavailableError(repository, constants.HF_HUB_CACHE, error) from None
    raise UnavailableError(repository, constants.HF_HUB_CACHE, "it holds no weights")


def _verify(files: Sequence[Path]) -> None:
    """Compare large files with the sha256 that the hub announced, and which names them in its cache.

    Raises:
        OSError: if one is another, which is removed
    """
    for file in files:
        announced = file.readlink().name if file.is_symlink() else ""  # a cache without links keeps no name
        if len(announced) == 64 and (found := sha256([file])) != announced:
            file.resolve().unlink()
            file.unlink()
            raise OSError(f"{file.name}: sha256 {found}, announced was {announced}; removed")


def modelscope(repository: str, files: Sequence[str], offline: bool = False) -> Path:
    """Return the local snapshot of a repository of ModelScope.

    Args:
        repository: organisation/name
        files: what is needed
        offline: look into the cache and no further

    Raises:
        UnavailableError: saying where it was looked for, and why it could not be fetched
    """
    # A command-line tool in library's clothes: it is loaded when it is wanted, and tells of every retry.
    from modelscope.hub.snapshot_download import snapshot_download
    from modelscope_hub.config import get_default_config

    logging.getLogger("modelscope_hub").setLevel(logging.CRITICAL)
    settings = get_default_config()
    try:
        return Path(
            snapshot_download(
                repository,
                allow_patterns=list(files),
                local_files_only=offline,
                endpoint=settings.endpoint,  # else it first looks for another site, long where there is no connection
            )
        )
    except Exception as error:  # whatever a connection makes the library raise
        failed = getattr(error, "failed_files", {})  # what went wrong with each
        reason = next(iter(failed.values()), error)
        raise UnavailableError(f"{repository} (ModelScope)", settings.cache_dir, reason) from None
