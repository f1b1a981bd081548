"""Model repositories of the Hugging Face hub and of ModelScope, kept in the caches of their own libraries."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from stages.contracts.errors import UserError

WEIGHTS = (("*.safetensors", "*.safetensors.index.json"), ("pytorch_model*",))  # the first that there is


class UnavailableError(Exception):
    """A repository is neither in the cache nor could it be fetched."""


def snapshot(repository: str, files: Sequence[str], key: str) -> Path:
    """Return the local snapshot of a Hugging Face repository, fetched when it is not there yet.

    Args:
        repository: organisation/name, or a name alone
        files: names or patterns of what is needed beside the weights
        key: the parameter that names the repository, for messages

    Returns:
        a folder whose name is the commit

    Raises:
        UserError: if it is neither in the cache nor to be had
    """
    try:
        return huggingface(repository, files)
    except UnavailableError as error:
        raise UserError(
            f"{key}: {error}; with a connection, run `hf download {repository}`, "
            "or give the folder that holds its config.json and weights"
        ) from None


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
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )

    try:
        for patterns in weights:
            folder = Path(snapshot_download(repository, allow_patterns=[*files, *patterns], local_files_only=offline))
            if list(folder.glob(patterns[0])):
                return folder
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        reason = type(error).__name__
    else:
        reason = "it holds no weights"
    raise UnavailableError(f"{repository} is not in {constants.HF_HUB_CACHE} and could not be fetched ({reason})")


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
    from modelscope_hub.errors import HubError

    logging.getLogger("modelscope_hub").setLevel(logging.ERROR)
    try:
        return Path(snapshot_download(repository, allow_patterns=list(files), local_files_only=offline))
    except (HubError, OSError, ValueError) as error:
        raise UnavailableError(
            f"{repository} (ModelScope) is not in {get_default_config().cache_dir} and could not be fetched "
            f"({type(error).__name__})"
        ) from None
