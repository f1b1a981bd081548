"""Repositories of the Hugging Face hub, kept in its cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stages.contracts.errors import UserError

WEIGHTS = ("*.safetensors", "*.safetensors.index.json")


def snapshot(repository: str, files: Sequence[str], key: str) -> Path:
    """Return the local snapshot of a repository, fetched when it is not there yet; its name is the commit.

    Args:
        repository: organisation/name, or a name alone
        files: names or patterns of what is needed beside the weights
        key: the parameter that names the repository, for messages

    Raises:
        UserError: if it is neither in the cache nor to be had
    """
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
    )

    patterns = [*files, *WEIGHTS]
    try:
        folder = Path(snapshot_download(repository, allow_patterns=patterns))
        if not list(folder.glob("*.safetensors")):
            folder = Path(snapshot_download(repository, allow_patterns=[*patterns, "pytorch_model*"]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise UserError(
            f"{key}: {repository} is neither in {constants.HF_HUB_CACHE} nor could it be fetched "
            f"({type(error).__name__}); with a connection, run `hf download {repository}` there, "
            "or give the folder that holds its config.json and weights"
        ) from None
    return folder
