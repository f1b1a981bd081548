"""Fetch: the corpora of both branches, as one manifest each.

Files are read where they are and never copied; downloads are kept in a cache outside the repository. Only the synthetic
corpus is made here.
"""

from __future__ import annotations

import math
from pathlib import Path

from emopipe.corpora.catalogue import read_branches
from emopipe.corpora.parameters import Corpora, Synthetic
from emopipe.io.errors import run_stage
from emopipe.recordings.manifests import add_content
from emopipe.schemas import notices
from emopipe.schemas.labels import WORDS
from emopipe.schemas.manifest import write_manifest
from emopipe.splits.parameters import Merge

AUDIO = Path("data/raw/audio/manifest.csv")
TEXT = Path("data/raw/text.csv")

# No trace of the audio: the text branch reruns for a change of words or ratings and for nothing else.
NO_AUDIO = {"path": "", "sha256": "", "start": math.nan, "end": math.nan, "seconds": math.nan}


def main() -> None:
    """Write the manifest of the audio branch and the table of the text branch."""
    names = Corpora.load("data.audio").corpora, Corpora.load("data.text").corpora
    words = WORDS | Merge.load("data.audio").words() | Merge.load("data.text").words()
    with notices.collected(notices.FETCH):
        audio, text = read_branches(*names, Synthetic.load(), AUDIO.parent / "synthetic", words)
        write_manifest(add_content(audio, AUDIO), AUDIO, changed=("path", "sha256", "seconds"))
        write_manifest(text.assign(**NO_AUDIO), TEXT, changed=list(NO_AUDIO))
    print(f"audio: {len(audio)} utterances of {', '.join(names[0]) or 'nothing'}; ", end="")
    print(f"text: {len(text)} of {', '.join(names[1]) or 'nothing'}")


if __name__ == "__main__":
    run_stage(main)
