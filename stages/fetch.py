"""Fetch: the corpora of both branches, as one manifest each.

Files are read where they lie and never copied; what is downloaded lies in a cache outside the repository. Only the demo
corpus is made here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from math import nan
from pathlib import Path
from typing import Any

from emopipe.corpora.catalogue import Rows, read_branches
from emopipe.corpora.parameters import Corpora, Synthetic
from emopipe.io.cache import portable
from emopipe.io.errors import run_stage
from emopipe.recordings.reading import Recording, describe
from emopipe.schemas import tables
from emopipe.schemas.manifest import Utterance, write_manifest

AUDIO = Path("data/raw/audio/manifest.csv")
TEXT = Path("data/raw/text.csv")
TIMES = ("start", "end", "seconds")


def main() -> None:
    """Write the manifest of what is heard and the table of what is read."""
    audio, text = (Corpora.load(key).corpora for key in ("data.audio", "data.text"))
    heard, read = read_branches(audio, text, Synthetic.load(), AUDIO.parent / "synthetic")
    _write(with_content(heard), AUDIO)
    # No trace of the audio: the text branch reruns for a change of words or ratings and for nothing else.
    _write((row | dict.fromkeys(("path", "sha256"), "") | dict.fromkeys(TIMES) for row in read), TEXT)
    print(f"audio: {len(heard)} utterances of {', '.join(audio) or 'nothing'}; ", end="")
    print(f"text: {len(read)} of {', '.join(text) or 'nothing'}")


def with_content(rows: Rows) -> Rows:
    """Add fingerprint and duration to the rows; paths become relative to the manifest or the cache, others stay."""
    # The fingerprint is what lets a forced fetch (dvc repro -f fetch) notice that a file outside the repository has
    # changed: the manifest differs then, and with it everything that is made from it.
    described = describe([Recording(Path(row["path"]), row.get("start", nan), row.get("end", nan)) for row in rows])
    return [
        row | {"path": _from_manifest(Path(row["path"])), "sha256": sha256, "seconds": seconds}
        for row, (sha256, seconds) in zip(rows, described, strict=True)
    ]


def _from_manifest(path: Path) -> str:
    return portable(path) if path.is_absolute() else Path(os.path.relpath(path, AUDIO.parent)).as_posix()


def _write(rows: Iterable[dict[str, Any]], path: Path) -> None:
    write_manifest(tables.check(rows, Utterance, str(path)), path)


if __name__ == "__main__":
    run_stage(main)
