"""Which names stand for which text encoder, and where weights come from."""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """A published encoder."""

    repository: str  # on the Hugging Face hub
    licence: str


EMBEDDED = "all-MiniLM-L6-v2"

# Keys are what everybody calls them: the hub's names without their owners.
ENTRIES = {
    repository.split("/")[1]: Entry(repository, licence)
    for licence, repositories in {
        "Apache-2.0": (
            f"sentence-transformers/{EMBEDDED}",
            "sentence-transformers/all-MiniLM-L12-v2",
            "sentence-transformers/all-mpnet-base-v2",
            "google-bert/bert-base-uncased",
            "google-bert/bert-base-cased",
            "google-bert/bert-large-uncased",
            "distilbert/distilbert-base-uncased",
            "distilbert/distilroberta-base",
            "google/electra-base-discriminator",
            "google/electra-large-discriminator",
            "answerdotai/ModernBERT-base",
            "answerdotai/ModernBERT-large",
        ),
        "MIT": (
            "FacebookAI/roberta-base",
            "FacebookAI/roberta-large",
            "FacebookAI/xlm-roberta-base",
            "FacebookAI/xlm-roberta-large",
            "microsoft/deberta-v3-base",
            "microsoft/deberta-v3-large",
        ),
    }.items()
    for repository in repositories
}

_KEYS = {entry.repository: key for key, entry in ENTRIES.items()}


def find(name: str) -> tuple[str, Entry]:
    """Return the key that a name stands for, and its entry; of a hub id that is not listed, itself.

    >>> find("FacebookAI/roberta-base")
    ('roberta-base', Entry(repository='FacebookAI/roberta-base', licence='MIT'))
    >>> find("someone/their-model")[1].licence
    'see the hub'
    """
    key = _KEYS.get(name, name)
    return key, ENTRIES.get(key, Entry(name, "see the hub"))
