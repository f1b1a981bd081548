"""The upload of a trained model and its card to the Hugging Face hub."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from textwrap import shorten

from emopipe.io.errors import UserError

KEY = "publish.push_to_hub"
FILES = ("model.safetensors", "config.json")
REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
LOG_IN = "run `hf auth login`, or set HF_TOKEN, with a token that may write there (huggingface.co/settings/tokens)"
AGAIN = "then `dvc repro`: nothing but `plot` runs again"


def upload(repository: str, folder: Path, card: str) -> str:
    """Put a model and its card on the hub in one commit, and return the commit's address.

    A repository that is not there is made, with the visibility that is the owner's default; one that is there keeps its
    own, and whatever other files it holds.

    Args:
        repository: owner/name
        folder: holds ``FILES``
        card: in Markdown, with its metadata in front

    Raises:
        UserError: if there is no token, the hub refuses it, or cannot be reached
    """
    # Slow to import, and most runs publish nothing.
    from huggingface_hub import CommitOperationAdd, HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError

    token = get_token()
    if token is None:
        raise UserError(f"{KEY}: {repository}: no token for the Hugging Face hub; {LOG_IN}, {AGAIN}")
    content: dict[str, bytes | Path] = {name: folder / name for name in FILES} | {"README.md": card.encode()}
    api = HfApi(token=token)
    try:
        api.create_repo(repository, exist_ok=True)
        commit = api.create_commit(
            repository,
            [CommitOperationAdd(name, file) for name, file in content.items()],
            commit_message="Model and evaluation by emopipe",
        )
    except Exception as error:  # whatever a connection makes the library raise
        refused = isinstance(error, HfHubHTTPError) and error.response.status_code in REFUSED
        what = "the hub refuses the token" if refused else "could not be uploaded"
        how = LOG_IN if refused else "check the connection and the repository's name"
        reason = f"{type(error).__name__}: {shorten(str(error), 200)}"
        raise UserError(f"{KEY}: {repository}: {what} ({reason}); {how}, {AGAIN}") from None
    return commit.commit_url
