"""A summary of a corpus for the terminal."""

from __future__ import annotations

import pandas as pd

from emopipe.schemas.manifest import DIMENSIONS, SETS

SPEAKERS = 100  # shown by name, those with the most utterances
NAMES = 5  # shown of recordings with the same content, and of reasons


def describe(rows: pd.DataFrame) -> str:
    """Return the numbers of utterances with each kind of label, and by emotion, speaker and official split.

    Args:
        rows: the utterances, with the columns of :class:`emopipe.schemas.manifest.Utterance`
    """
    rated = rows[list(DIMENSIONS)].notna()
    lines = [
        f"utterances   {len(rows):,} of {', '.join(sorted(set(rows['corpus'])))}",
        f"recordings   {(rows['path'] != '').sum():,}",
        f"transcripts  {(rows['transcript'] != '').sum():,}",
        f"emotion      {(rows['emotion'] != '').sum():,}",
        f"VAD          {rated.all(axis=1).sum():,}" + _partly(rated),
        f"speakers     {_number(rows['speaker'])}{_sexes(rows)}",
        f"sessions     {_number(rows['session'])}",
        f"languages    {', '.join(sorted(set(rows['language']) - {''})) or 'unknown'}",
    ]
    counts = [_count(rows, "speaker", "unknown")]
    if (rows["split"] != "").any():
        order = [name for name in (*SETS, "none") if name in set(rows["split"].replace("", "none"))]
        counts.append(_count(rows, "split", "none").reindex([*order, "all"]))
    else:
        lines.append("split        none of its own")
    return "\n\n".join(["\n".join(lines), *(table.to_string() for table in counts)])


def describe_recordings(usable: pd.DataFrame, rejected: pd.DataFrame) -> str:
    """Return durations, recordings that occur under several names, and why others cannot be used.

    Args:
        usable: recordings with ``utterance``, ``seconds``, and ``sha256`` of their sound
        rejected: those that cannot be used, with ``utterance``, ``path`` and ``reason``
    """
    lines = []
    if len(usable):
        seconds = usable["seconds"]
        lines.append(
            f"duration     {seconds.sum() / 3600:.2f} h; a recording {seconds.min():.2f} to {seconds.max():.2f} s, "
            f"median {seconds.median():.2f} s"
        )
    copies = usable[usable.duplicated("sha256", keep=False)]
    if len(copies):
        groups = [", ".join(own["utterance"]) for _, own in copies.groupby("sha256", sort=False)]
        lines.append(f"copies       {len(copies):,} recordings sound the same as another one")
        lines += [f"  {group}" for group in _some(groups)]
    lines.append(f"rejected     {len(rejected):,} of {len(usable) + len(rejected):,} recordings")
    groups = sorted(rejected.groupby("reason", sort=False), key=lambda group: -len(group[1]))
    reasons = [
        f"{len(own):,} x {reason}; the first: {own.iloc[0].utterance} ({own.iloc[0].path})" for reason, own in groups
    ]
    return "\n".join([*lines, *(f"  {line}" for line in _some(reasons))])


def _number(column: pd.Series) -> str:
    unknown = int((column == "").sum())
    if unknown == len(column):
        return "unknown"
    known = f"{len(set(column) - {''}):,}"
    return f"{known}; unknown of {unknown:,} utterances" if unknown else known


def _sexes(rows: pd.DataFrame) -> str:
    speakers = rows[(rows["speaker"] != "") & (rows["sex"] != "")].drop_duplicates("speaker")["sex"].value_counts()
    return f" ({', '.join(f'{count} {sex}' for sex, count in speakers.sort_index().items())})" if len(speakers) else ""


def _partly(rated: pd.DataFrame) -> str:
    partly = int((rated.any(axis=1) & ~rated.all(axis=1)).sum())
    return f"; {partly:,} more in part" if partly else ""


def _count(rows: pd.DataFrame, column: str, unknown: str) -> pd.DataFrame:
    """Count the utterances of each value of a column and of each emotion."""
    named = rows.assign(**{column: rows[column].replace("", unknown), "emotion": rows["emotion"].replace("", "none")})
    table = pd.crosstab(named[column], named["emotion"], margins=True, margins_name="all")
    shown = table["all"].drop("all").nlargest(SPEAKERS).index
    left_out = len(table) - 1 - len(shown)
    table = table.loc[[name for name in table.index if name in set(shown) or name == "all"]]
    return table.rename_axis(index=f"{column} ({left_out:,} more)" if left_out else column, columns=None)


def _some(lines: list[str]) -> list[str]:
    return lines[:NAMES] + ([f"... and {len(lines) - NAMES:,} more"] if len(lines) > NAMES else [])
