"""Resample: every recording as 16 kHz mono FLAC, and a list of those that cannot be used."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from emopipe.io.errors import UserError, run_stage
from emopipe.parameters import Runtime
from emopipe.recordings.parameters import Resample
from emopipe.recordings.reading import Recording, describe
from emopipe.recordings.resampling import convert_all, divide, recordings
from emopipe.schemas import tables
from emopipe.schemas.manifest import SAMPLE_RATE, Rejection, read_manifest, write_manifest

RAW = Path("data/raw/audio/manifest.csv")
AUDIO = Path("data/audio/manifest.csv")
REJECTED = Path("data/audio/rejected.csv")


def main() -> None:
    """Convert the recordings of the manifest; write the manifest of the good and the table of the bad."""
    resample, runtime = Resample.load(), Runtime.load()
    manifest = read_manifest(RAW)
    names = manifest["utterance"] + ".flac"
    sources = recordings(manifest, RAW)
    AUDIO.unlink(missing_ok=True)  # written last: with it, all the recordings are there
    jobs = zip(sources, [AUDIO.parent / name for name in names], strict=True)
    kept, rejected = divide(manifest, convert_all(list(jobs), runtime.workers))
    refuse_changed(manifest, sources)
    kept = kept.assign(path=names[kept.index], start=math.nan, end=math.nan)  # a segment is a file of its own now
    if len(kept) + len(rejected) != len(manifest):
        raise AssertionError(f"{len(manifest)} rows in, {len(kept)} kept, {len(rejected)} rejected")

    tables.write(rejected[list(Rejection.model_fields)], REJECTED, Rejection)
    refuse_many(rejected, len(manifest), resample.max_rejected)
    write_manifest(kept, AUDIO)
    print(f"{len(kept)} recordings, {kept['seconds'].sum() / 3600:.2f} h at {SAMPLE_RATE} Hz; {len(rejected)} rejected")


def refuse_changed(manifest: pd.DataFrame, sources: Sequence[Recording]) -> None:
    """Stop when a file is no longer the one that the fetch stage saw, whether it changed before it was read or since.

    Raises:
        UserError: naming the files
    """
    found = [sha256 for sha256, _ in describe(sources)]
    changed = manifest[(manifest["sha256"] != "") & (manifest["sha256"] != found)].drop_duplicates("path")
    if len(changed):
        lines = [f"{row.utterance} ({row.path})" for row in changed.itertuples()]
        raise UserError(
            f"{len(changed)} file(s) have changed, or gone, since the fetch stage read the corpora; let them be, then "
            "`dvc repro -f fetch` and `dvc repro`" + _first(lines, f"and {len(changed) - tables.SHOWN} more")
        )


def refuse_many(rejected: pd.DataFrame, total: int, allowed: float) -> None:
    """Stop when so many recordings are bad that something else must be wrong.

    Raises:
        UserError: if more than the share ``allowed`` of ``total`` recordings is rejected
    """
    if len(rejected) <= allowed * total:
        return
    lines = [f"{row.utterance} ({row.path}): {row.reason}" for row in rejected.itertuples()]
    raise UserError(
        f"{len(rejected)} of {total} recordings cannot be used, more than resample.max_rejected={allowed} allows; "
        "mend the files or the manifest, or raise that share to go on without them"
        + _first(lines, f"all of them in {REJECTED}")
    )


def _first(lines: Sequence[str], others: str) -> str:
    """Return the first lines below each other, and what is to be said where there are more."""
    shown = [*lines[: tables.SHOWN], *([f"... {others}"] if len(lines) > tables.SHOWN else [])]
    return "".join(f"\n  {line}" for line in shown)


if __name__ == "__main__":
    run_stage(main)
