"""A corpus of the user's own: a CSV with the columns of the manifest.

Layout: any file whose name ends in ``.csv``. Of the columns of :class:`emopipe.schemas.manifest.Utterance` the two
``utterance`` (``corpus/name``, unique) and ``corpus`` are required, and ``path`` for audio, ``transcript`` for text,
and a target. Paths are relative to the CSV's folder, or absolute.

Several utterances of one file: ``start`` and ``end`` are the times of each in seconds; an empty one is the file's
own beginning or end. The resample stage reads the segment alone and makes a file of it. A segment whose times are the
wrong way round, or that reaches beyond the end of the file by more than 0.05 s, is rejected there.

Labels: the emotion vocabulary of the manifest; valence, arousal and dominance on its scale of 1 to 5.

Traps: ``sha256`` and ``seconds`` are not taken from the table but measured again. Segments that overlap share their
sound without being copies of one another: split by speaker or session, so that they stay in one set.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emopipe.schemas.manifest import audio_path, read_manifest


def read(path: Path) -> pd.DataFrame:
    """Return the rows, in the order of the file, with paths as seen from the working folder.

    Raises:
        UserError: naming row and column of each violation
    """
    rows = read_manifest(path, escaped=False)
    return rows.assign(path=[str(audio_path(path, name)) if name else "" for name in rows["path"]])
