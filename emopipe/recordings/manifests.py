"""From the rows of a manifest to their recordings, and back to the rows of those that can be used."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from emopipe.io.cache import portable
from emopipe.io.errors import UserError
from emopipe.io.paths import COPY, copied_repository
from emopipe.recordings.reading import MISSING, Converted, Recording, RejectedError, describe
from emopipe.schemas.manifest import SAMPLE_RATE, audio_path
from emopipe.schemas.tables import SHOWN


def recordings(rows: pd.DataFrame, manifest: Path) -> list[Recording]:
    """Return the recording of each utterance of a manifest, whose paths are relative to its folder."""
    segments = zip(rows["path"], rows["start"], rows["end"], strict=True)
    return [Recording(audio_path(manifest, path), start, end) for path, start, end in segments]


def add_content(rows: pd.DataFrame, manifest: Path) -> pd.DataFrame:
    """Return the rows with the sha256 of each file and the duration of each recording.

    The sha256 lets a forced fetch (``dvc repro -f fetch``) notice that a file outside the repository has changed: the
    manifest differs then, and all that is made from it.

    Args:
        rows: utterances, whose paths are relative to the working folder
        manifest: where they will be written; paths become relative to it, or to the download cache; absolute ones stay
    """
    described = describe(recordings(rows, Path()))
    return rows.assign(
        path=[_seen_from(manifest, Path(path)) for path in rows["path"]],
        sha256=[sha256 for sha256, _ in described],
        seconds=[seconds for _, seconds in described],
    )


def _seen_from(manifest: Path, path: Path) -> str:
    return portable(path) if path.is_absolute() else Path(os.path.relpath(path, manifest.parent)).as_posix()


def split_by_outcome(
    rows: pd.DataFrame, outcomes: Sequence[Converted | RejectedError]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the utterances whose recording can be used, and the others.

    Args:
        rows: the utterances
        outcomes: of the conversion of each utterance's recording

    Returns:
        the former with ``seconds`` and ``sha256`` of the converted recording, the latter with ``reason``
    """
    good = np.array([isinstance(outcome, Converted) for outcome in outcomes], dtype=bool)
    usable = [outcome for outcome in outcomes if isinstance(outcome, Converted)]
    reasons = [str(outcome) for outcome in outcomes if isinstance(outcome, RejectedError)]
    return (
        rows[good].assign(
            sha256=[outcome.sha256 for outcome in usable], seconds=[one.samples / SAMPLE_RATE for one in usable]
        ),
        rows[~good].assign(reason=reasons),
    )


def require_unchanged(rows: pd.DataFrame, sources: Sequence[Recording]) -> None:
    """Check that every file is still the one that the fetch stage saw: one that changes while it is read counts too.

    Args:
        rows: the utterances, with the ``sha256`` of their files as fetched
        sources: the recording of each

    Raises:
        UserError: naming the files
    """
    found = [sha256 for sha256, _ in describe(sources)]
    changed = rows[(rows["sha256"] != "") & (rows["sha256"] != found)].drop_duplicates("path")
    if len(changed):
        lines = [f"{row.utterance} ({row.path})" for row in changed.itertuples()]
        raise UserError(
            f"{len(changed)} file(s) have changed, or gone, since the fetch stage read the corpora; once they stay as "
            "they are, `dvc repro -f fetch` and `dvc repro`" + _some(lines, f"and {len(changed) - SHOWN} more")
        )


def require_few_rejected(rejected: pd.DataFrame, total: int, allowed: float, table: Path) -> None:
    """Check that no more recordings are rejected than ``allowed``; with more, something else must be wrong.

    Args:
        rejected: with ``utterance``, ``path`` and ``reason``
        total: number of recordings
        allowed: resample.max_rejected, a share
        table: the file that lists all of them

    Raises:
        UserError: with the reasons
    """
    if len(rejected) <= allowed * total:
        return
    lines = [f"{row.utterance} ({row.path}): {row.reason}" for row in rejected.itertuples()]
    raise UserError(
        f"{len(rejected)} of {total} recordings cannot be used, more than resample.max_rejected={allowed} allows; "
        f"mend the files or the manifest, or raise that share to go on without them{_hint(rejected)}"
        + _some(lines, f"all of them in {table}")
    )


def _some(lines: Sequence[str], others: str) -> str:
    """Return the first lines below each other, followed by a note on the others where there are more."""
    shown = [*lines[:SHOWN], *([f"... {others}"] if len(lines) > SHOWN else [])]
    return "".join(f"\n  {line}" for line in shown)


def _hint(rejected: pd.DataFrame) -> str:
    """Return where missing recordings of relative paths were looked for, if that may be another place than meant."""
    missing = rejected.loc[rejected["reason"] == MISSING, "path"]
    if copied_repository() is None or all(Path(path).is_absolute() for path in missing):
        return ""
    return f". Relative paths lead into {COPY}: name the table by its absolute path, or write absolute paths in it"
