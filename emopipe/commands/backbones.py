"""Fetch and verify backbones ahead of time, or list them all."""

from __future__ import annotations

import argparse
import sys

from emopipe.backbones.catalogue import EMBEDDED, ENTRIES, Entry
from emopipe.backbones.loading import embedded, load, locate, on_disk
from emopipe.io.errors import UserError, run_stage


def main() -> None:
    """Load every backbone that is named, which fetches what is missing; without a name, list what there is."""
    parser = argparse.ArgumentParser(prog="python -m emopipe.backbones", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a key, a hub id or a local folder")
    parser.add_argument(
        "--hub", choices=["hf", "ms"], default="hf", help="Hugging Face or ModelScope, where weights are on both"
    )
    arguments = parser.parse_args()
    if not arguments.names:
        _list()
    failed = 0
    for name in arguments.names:
        try:
            _show(name, arguments.hub)
        except UserError as error:  # the other names are still fetched
            failed += 1
            print(f"{name}\n  {error}", file=sys.stderr)
    if failed:
        raise UserError(f"{failed} of {len(arguments.names)} backbone(s) cannot be used")


def _list() -> None:
    widths = [max(len(key) for key in ENTRIES), max(len(entry.family) for entry in ENTRIES.values())]
    for key, entry in ENTRIES.items():
        source = " or ".join(filter(None, (entry.repository, entry.modelscope and f"{entry.modelscope} (ModelScope)")))
        where = _where(key, entry) or f"not on disk; from {source}"
        print(f"{key:{widths[0]}}  {entry.family:{widths[1]}}  {entry.licence:20}  {where}")


def _where(key: str, entry: Entry) -> str:
    path = embedded() if key == EMBEDDED else None
    return str(path or on_disk(entry) or "")


def _show(name: str, hub: str) -> None:
    place = locate(name, hub)
    backbone = load(name, place)
    origin = backbone.origin
    used = locate(name)
    where = place if place == used else f"{place} (the pipeline takes {used}, which comes first)"
    print(
        f"{origin.name}\n"
        f"  where       {where}\n"
        f"  family      {origin.family}\n"
        f"  revision    {origin.revision or '-'}\n"
        f"  sha256      {origin.sha256}\n"
        f"  dim         {backbone.dim}\n"
        f"  blocks      {backbone.blocks}\n"
        f"  parameters  {backbone.parameters:,}\n"
        f"  licence     {origin.licence}"
    )


if __name__ == "__main__":
    run_stage(main)
