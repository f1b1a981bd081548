"""List the corpora that the pipeline can read, or check some: what they hold, and what could not be used."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from emopipe.corpora.catalogue import AUDIO, CORPORA, read_corpus
from emopipe.corpora.parameters import Synthetic
from emopipe.corpora.summary import describe, describe_recordings
from emopipe.io.errors import UserError, run_stage
from emopipe.parameters import Runtime
from emopipe.recordings.resampling import divide, recordings, try_all
from emopipe.schemas import tables
from emopipe.schemas.manifest import Utterance, check_unique


def main() -> None:
    """Check every corpus that is named; without a name, list what there is."""
    parser = argparse.ArgumentParser(prog="python -m emopipe.corpora", description=__doc__)
    commands = parser.add_subparsers(dest="command")
    check = commands.add_parser("check", help="read corpora as the pipeline would, and say what they hold")
    check.add_argument(
        "names", nargs="+", metavar="NAME", help="synthetic, KEY:FOLDER, or a manifest of your own, my.csv"
    )
    arguments = parser.parse_args()
    if not arguments.command:
        _list()
        return
    failed = 0
    for name in arguments.names:
        try:
            _check(name)
        except UserError as error:  # the other names are still checked
            failed += 1
            print(f"{name}\n  {error}", file=sys.stderr)
    if failed:
        raise UserError(f"{failed} of {len(arguments.names)} corpora cannot be read")


def _list() -> None:
    for key, corpus in CORPORA.items():
        print(
            f"{key}: {corpus.title}\n"
            f"  size      {corpus.size}\n"
            f"  labels    {', '.join(corpus.labels)}\n"
            f"  licence   {corpus.licence}\n"
            f"  from      {corpus.source}\n"
            f"  as        {f'{key} (downloaded) or ' if corpus.downloads else ''}{key}:FOLDER, "
            f"which holds {corpus.layout}\n"
            f"  citation  {corpus.citation}\n"
        )
    print("synthetic: made on the spot by a speech synthesiser")
    print("my.csv: a manifest of your own, any file whose name ends in .csv")


def _check(name: str) -> None:
    settings, runtime = Synthetic.load(), Runtime.load()
    print(name)
    with TemporaryDirectory() as made:
        read = read_corpus(name, AUDIO, settings, Path(made))
        rows = tables.check([row | {"path": str(row.get("path", ""))} for row in read], Utterance, name)
        check_unique(rows, name)
        print(describe(rows))
        heard = rows[rows["path"] != ""]
        if len(heard):
            usable, rejected = divide(heard, try_all(recordings(heard, Path()), runtime.workers))
            print(f"\n{describe_recordings(usable, rejected)}")


if __name__ == "__main__":
    run_stage(main)
