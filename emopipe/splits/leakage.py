"""Prevention of leakage: what a model is tested on must not have been in its training set, under any name.

Of two sets the later one in train, dev, test is the stricter: what is in both stays in the stricter set alone.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import SETS
from emopipe.schemas.notices import notice
from emopipe.schemas.splits import Leak
from emopipe.splits.parameters import Partition

Kind = Literal["recording", "text", "speaker"]
SHOWN = 3  # speakers named in a message

STRICTNESS = {name: i for i, name in enumerate(SETS)}


def strictest_set(rows: pd.DataFrame, column: str) -> dict[str, str]:
    """Return for each value of a column the strictest set that holds it; an empty value is unknown and left out.

    >>> rows = pd.DataFrame({"speaker": ["a", "a", "b", ""], "split": ["dev", "train", "train", "test"]})
    >>> strictest_set(rows, "speaker")
    {'a': 'dev', 'b': 'train'}
    """
    known = rows[rows[column] != ""]
    return known["split"].map(STRICTNESS).groupby(known[column]).max().map(SETS.__getitem__).to_dict()


def leaking_rows(rows: pd.DataFrame, column: str, others: pd.DataFrame | None = None) -> pd.Series:
    """Return True for every row whose value is also in a stricter set than its own.

    Args:
        rows: with columns ``column`` and ``split``
        column: what must be in one set alone (a hash, a text, a speaker); empty where it is not known
        others: rows of another table, whose values count too
    """
    strictest = strictest_set(_all(rows, others), column)
    # False where the value is unknown
    return rows["split"].map(STRICTNESS) < rows[column].map(strictest).map(STRICTNESS)


def drop_duplicates_across_sets(
    rows: pd.DataFrame, column: str, kind: Kind, branch: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep each value of a column in its strictest set alone, with a notice of what is left out.

    Returns:
        the remaining rows, and what had leaked, as a table of :class:`Leak`
    """
    leaking = leaking_rows(rows, column)
    what = f"left out: the same {kind} is in another set"
    notice(branch, int(leaking.sum()), "utterances", what, len(rows))
    return rows[~leaking].copy(), _leaks(rows, leaking, column, kind, "left_out")


def resolve_speaker_overlap(
    rows: pd.DataFrame, settings: Partition, branch: str, others: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Treat speakers in more than one set as ``speaker_overlap`` says; unknown speakers are never the same.

    Args:
        rows: with columns ``speaker`` and ``split``
        settings: split.BRANCH
        branch: audio or text
        others: the other branch's rows, whose test speakers must not be trained on here either

    Returns:
        the remaining rows, and what leaked, as a table of :class:`Leak`

    Raises:
        UserError: if there are any, and ``speaker_overlap`` is ``error``
    """
    leaking = leaking_rows(rows, "speaker", others)
    dropped = settings.speaker_overlap == "drop"
    if leaking.any():
        key = f"split.{branch}.speaker_overlap"
        names = sorted(rows.loc[leaking, "speaker"].unique())
        found = f"{len(names)} of {(rows['speaker'].unique() != '').sum()} speakers are in more than one set"
        found += f" ({', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''})"
        if settings.speaker_overlap == "error":
            both = others is not None and leaking_rows(others, "speaker").any()
            raise UserError(
                f"{key}: {found}; choose {'split.audio.strategy and ' if both else ''}split.{branch}.strategy: "
                "speaker, or set speaker_overlap to drop (keep them in the strictest set alone) or warn"
            )
        action = f"{leaking.sum()} of {len(rows)} utterances left out" if dropped else "kept"
        print(f"{branch}: {found}: {action} ({key}: {settings.speaker_overlap})")
    leaks = _leaks(rows, leaking, "speaker", "speaker", "left_out" if dropped else "reported", others)
    return rows[~leaking].copy() if dropped else rows, leaks


def _all(rows: pd.DataFrame, others: pd.DataFrame | None) -> pd.DataFrame:
    return rows if others is None else pd.concat([rows, others], ignore_index=True)


def _leaks(
    rows: pd.DataFrame, leaking: pd.Series, column: str, kind: Kind, action: str, others: pd.DataFrame | None = None
) -> pd.DataFrame:
    utterances = rows.loc[leaking, column].value_counts()
    everywhere = _all(rows, others)
    copies = everywhere[everywhere[column].isin(utterances.index)]
    leaks = [
        {
            "kind": kind,
            "content": _shown(content, kind),
            "sets": "|".join(name for name in SETS if name in set(own)),
            "utterances": utterances[content],
            "action": action,
        }
        for content, own in copies.groupby(column, sort=True)["split"]
    ]
    return pd.DataFrame(leaks, columns=list(Leak.model_fields))


def _shown(content: str, kind: Kind) -> str:
    match kind:
        case "recording":
            return content[:12]
        case "text":
            return sha256(content.encode()).hexdigest()[:12]
        case "speaker":
            return content
