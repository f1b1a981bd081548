"""List the corpora that the pipeline can read, or check some before a run.

    emopipe corpora                                   # size, labels, licence, citation of each, and how to get it
    emopipe corpora check emodb:/data/emodb my.csv    # counts, durations, and what would be rejected, with the reason

A check reads a corpus as the pipeline would, tries every recording, and writes nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from emopipe.commands import try_each
from emopipe.corpora.catalogue import AUDIO, CORPORA, read_corpus
from emopipe.corpora.parameters import Synthetic
from emopipe.corpora.summary import describe, describe_recordings
from emopipe.parameters import Runtime
from emopipe.recordings.manifests import recordings, split_by_outcome
from emopipe.recordings.resampling import check_all
from emopipe.schemas.manifest import check_unique


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    check = parser.add_subparsers(metavar="check").add_parser("check", help="read corpora and report what they hold")
    check.add_argument(
        "names", nargs="+", metavar="NAME", help="synthetic, KEY, KEY:FOLDER, or a manifest of your own, my.csv"
    )
    parser.set_defaults(names=[])


def run(arguments: argparse.Namespace) -> None:
    """Check every corpus that is named; without a name, list those that can be read."""
    if not arguments.names:
        _list()
    try_each(arguments.names, _check, "corpora cannot be read")


def table() -> str:
    """Return the corpora as a table in Markdown."""
    rows = [
        "| key | branch | folder holds | licence |",
        "|---|---|---|---|",
        "| `synthetic` | both | nothing: espeak-ng makes it on the spot | free to use |",
    ]
    for key, corpus in CORPORA.items():
        layout = corpus.layout.replace("*", r"\*")
        rows.append(f"| `{key}` | {corpus.branch} | {layout} | {corpus.licence} |")
    return "\n".join(rows)


def _list() -> None:
    for key, corpus in CORPORA.items():
        print(
            f"{key}: {corpus.title}\n"
            f"  size      {corpus.size}\n"
            f"  labels    {', '.join(corpus.labels)}\n"
            f"  licence   {corpus.licence}\n"
            f"  from      {corpus.source}\n"
            f"  as        {f'{key} (downloaded) or ' if corpus.release else ''}{key}:FOLDER, "
            f"which holds {corpus.layout}\n"
            f"  citation  {corpus.citation}\n"
        )
    print("synthetic: made on the spot by a speech synthesiser")
    print("my.csv: a manifest of your own, any file whose name ends in .csv")


def _check(name: str) -> None:
    settings, runtime = Synthetic.load(), Runtime.load()
    print(name)
    with TemporaryDirectory() as made:
        rows = read_corpus(name, AUDIO, settings, Path(made))
        check_unique(rows, name)
        print(describe(rows))
        audio = rows[rows["path"] != ""]
        if len(audio):
            usable, rejected = split_by_outcome(audio, check_all(recordings(audio, Path()), runtime.workers))
            print(f"\n{describe_recordings(usable, rejected)}")
