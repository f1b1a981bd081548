"""Resample: every recording as 16 kHz mono FLAC, and a list of those that cannot be used."""

from __future__ import annotations

import math
from pathlib import Path

from emopipe.cluster.connection import Cluster
from emopipe.io.errors import run_stage
from emopipe.parameters import Runtime
from emopipe.recordings.manifests import recordings, require_few_rejected, require_unchanged, split_by_outcome
from emopipe.recordings.parameters import Resample
from emopipe.recordings.resampled import MANIFEST
from emopipe.recordings.resampling import convert_all
from emopipe.schemas import tables
from emopipe.schemas.manifest import SAMPLE_RATE, Rejection, read_manifest, write_manifest
from emopipe.unfinished import unfinished_folder

RAW = Path("data/raw/audio/manifest.csv")
REJECTED = Path("data/audio/rejected.csv")


def main() -> None:
    """Convert the recordings of the manifest; write the manifest of the good and the table of the bad."""
    resample, runtime = Resample.load(), Runtime.load()
    manifest = read_manifest(RAW)
    names = manifest["utterance"] + ".flac"
    sources = recordings(manifest, RAW)
    MANIFEST.unlink(missing_ok=True)  # written last: with it, all the recordings are there
    jobs = zip(sources, [MANIFEST.parent / name for name in names], strict=True)
    with unfinished_folder("resample", [resample], runtime, [RAW]) as parts:
        outcomes = convert_all(list(jobs), runtime.workers, parts, Cluster.of(runtime, cpus=1, gpu=False))
        require_unchanged(manifest, sources)
    kept, rejected = split_by_outcome(manifest, outcomes)
    kept = kept.assign(path=names[kept.index], start=math.nan, end=math.nan)  # a segment is a file of its own now

    tables.write(rejected[list(Rejection.model_fields)], REJECTED, Rejection)
    require_few_rejected(rejected, len(manifest), resample.max_rejected, REJECTED)
    write_manifest(kept, MANIFEST, changed=("path", "start", "end", "sha256", "seconds"))
    print(f"{len(kept)} recordings, {kept['seconds'].sum() / 3600:.2f} h at {SAMPLE_RATE} Hz; {len(rejected)} rejected")


if __name__ == "__main__":
    run_stage(main)
