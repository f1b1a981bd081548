"""Upload the trained audio model, with a model card that tells its evaluation, to the Hugging Face hub.

What goes there is models/audio and data/predictions as they are: run `dvc repro` first. A repository that is not there
is made, with the visibility that is the owner's default; one that is there keeps its own, and whatever other files it
holds.
"""

from __future__ import annotations

import argparse
import re
from http import HTTPStatus
from pathlib import Path
from textwrap import shorten

from emopipe.backbones.catalogue import base_model
from emopipe.io.errors import UserError
from emopipe.report import card
from emopipe.results.reading import Results
from emopipe.schemas import dev_answers

MODEL = Path("models/audio")
FILES = ("model.safetensors", "config.json")
OPTIONAL = (dev_answers.NAME,)  # a regression has none
REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
LOG_IN = "run `hf auth login`, or set HF_TOKEN, with a token that may write there (huggingface.co/settings/tokens)"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("repository", metavar="OWNER/NAME", help="of the model on the hub")


def run(arguments: argparse.Namespace) -> None:
    """Upload the model and its card, and print the address of the commit.

    Raises:
        UserError: if there is no such repository name or no model, or the hub does not take it
    """
    repository = checked(arguments.repository)
    results = Results.read()
    config = results.models["audio"]
    if config is None:
        raise UserError("data.audio.corpora: the audio branch is switched off; there is no model to upload")
    origin = config["provenance"]["backbone"]
    print(upload(repository, MODEL, card.render(results, repository, base_model(origin))))


def checked(repository: str) -> str:
    """Return the name of a repository.

    Raises:
        UserError: if the hub has no such names
    """
    name = re.fullmatch(r"\w([\w.-]*\w)?/\w([\w.-]{,94}\w)?", repository, re.ASCII)
    if not name or re.search(r"--|\.\.|\.git$", repository):
        raise UserError(f"{repository}: must read OWNER/NAME, of letters, digits and single - or . between them")
    return repository


def upload(repository: str, folder: Path, text: str) -> str:
    """Put a model and its card on the hub in one commit, and return the commit's address.

    Args:
        repository: owner/name
        folder: holds ``FILES``
        text: the card, in Markdown, with its metadata in front

    Raises:
        UserError: if a file is absent, there is no token, or the hub refuses it or cannot be reached
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token  # when called: its settings may come later
    from huggingface_hub.errors import HfHubHTTPError

    again = f"then `emopipe publish {repository}` again"
    for name in FILES:
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: no such file; run `dvc repro finetune_audio` or `dvc pull`, {again}")
    token = get_token()
    if token is None:
        raise UserError(f"{repository}: no token for the Hugging Face hub; {LOG_IN}, {again}")
    names = [*FILES, *(name for name in OPTIONAL if (folder / name).is_file())]
    content: dict[str, bytes | Path] = {name: folder / name for name in names} | {"README.md": text.encode()}
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
        raise UserError(f"{repository}: {what} ({reason}); {how}, {again}") from None
    return commit.commit_url
