"""Resample: every recording as 16 kHz mono FLAC, and a list of those that cannot be used."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from stages.contracts import tables
from stages.contracts.audio import SAMPLE_RATE
from stages.contracts.errors import UserError, run
from stages.contracts.manifest import Rejection, read_manifest, write_manifest
from stages.contracts.parameters import load
from stages.recordings.resampling import convert_all, divide, recordings

RAW = Path("data/raw/audio/manifest.csv")
AUDIO = Path("data/audio/manifest.csv")
REJECTED = Path("data/audio/rejected.csv")


def main() -> None:
    """Convert the recordings of the manifest; write the manifest of the good and the table of the bad."""
    resample, runtime = load("resample", "runtime")
    manifest = read_manifest(RAW)
    names = manifest["utterance"] + ".flac"
    jobs = zip(recordings(manifest, RAW), [AUDIO.parent / name for name in names], strict=True)
    kept, rejected = divide(manifest, convert_all(list(jobs), runtime.workers))
    kept = kept.assign(path=names[kept.index], start=math.nan, end=math.nan)  # a segment is a file of its own now
    if len(kept) + len(rejected) != len(manifest):
        raise AssertionError(f"{len(manifest)} rows in, {len(kept)} kept, {len(rejected)} rejected")

    tables.write(rejected[list(Rejection.model_fields)], REJECTED, Rejection)
    refuse_many(rejected, len(manifest), resample.max_rejected)
    write_manifest(kept, AUDIO)
    print(f"{len(kept)} recordings, {kept['seconds'].sum() / 3600:.2f} h at {SAMPLE_RATE} Hz; {len(rejected)} rejected")


def refuse_many(rejected: pd.DataFrame, total: int, allowed: float) -> None:
    """Stop when so many recordings are bad that something else must be wrong.

    Raises:
        UserError: if more than the share ``allowed`` of ``total`` recordings is rejected
    """
    if len(rejected) <= allowed * total:
        return
    first = rejected.head(tables.SHOWN)
    lines = [f"{row.utterance} ({row.path}): {row.reason}" for row in first.itertuples()]
    lines += [f"... all of them in {REJECTED}"] if len(rejected) > len(first) else []
    raise UserError(
        f"{len(rejected)} of {total} recordings cannot be used, more than resample.max_rejected={allowed} allows; "
        "mend the files or the manifest, or raise that share to go on without them\n  " + "\n  ".join(lines)
    )


if __name__ == "__main__":
    run(main)
