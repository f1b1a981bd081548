"""List the audio backbones and which are on disk, or fetch and verify some ahead of a run.

    emopipe backbones                                         # all of them
    emopipe backbones wavlm_base_plus emotion2vec_plus_base   # fetches these, prints sha256, blocks, licence
    emopipe backbones --hub ms emotion2vec_plus_base          # from ModelScope

Weights count as usable when every tensor of the network is there and has its shape.
"""

from __future__ import annotations

import argparse

from emopipe.backbones.catalogue import ENTRIES
from emopipe.backbones.family import Published
from emopipe.backbones.loading import load, locate, on_disk
from emopipe.commands import try_each
from emopipe.text import catalogue as text_catalogue


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="a key, a hub id or a local folder")
    parser.add_argument(
        "--hub", choices=["hf", "ms"], default="hf", help="Hugging Face or ModelScope, where weights are on both"
    )


def run(arguments: argparse.Namespace) -> None:
    """Load every backbone that is named, which fetches what is missing; without a name, list what there is."""
    if not arguments.names:
        _list()
    try_each(arguments.names, lambda name: _show(name, arguments.hub), "backbone(s) cannot be used")


def table() -> str:
    """Return the backbones as a table in Markdown."""
    rows = ["| key | family | weights | licence |", "|---|---|---|---|"]
    for key, entry in ENTRIES.items():
        rows.append(f"| `{key}` | {entry.family} | {_source(entry.published)} | {entry.published.licence} |")
    return "\n".join(rows)


def text_table() -> str:
    """Return the text encoders that have a key as a table in Markdown."""
    rows = ["| key | weights | licence |", "|---|---|---|"]
    for key, entry in text_catalogue.ENTRIES.items():
        rows.append(f"| `{key}` | {entry.repository} | {entry.licence} |")
    return "\n".join(rows)


def _list() -> None:
    widths = [max(len(key) for key in ENTRIES), max(len(entry.family) for entry in ENTRIES.values())]
    for key, entry in ENTRIES.items():
        where = on_disk(entry) or f"not on disk; from {_source(entry.published)}"
        print(f"{key:{widths[0]}}  {entry.family:{widths[1]}}  {entry.published.licence:20}  {where}")


def _source(published: Published) -> str:
    modelscope = published.modelscope and f"{published.modelscope} (ModelScope)"
    return " or ".join(filter(None, (published.repository, modelscope)))


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
        f"  blocks      {backbone.block_count}\n"
        f"  parameters  {backbone.parameter_count:,}\n"
        f"  licence     {origin.licence}"
    )
