"""The guard against leakage: what is tested on must not have been trained on, under whatever name."""

from __future__ import annotations

from hashlib import sha256
from typing import Literal

import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import SETS
from emopipe.schemas.splits import Leak
from emopipe.splits.parameters import Partition

Kind = Literal["recording", "text", "speaker"]
SHOWN = 3  # speakers named in a message

RANK = {name: i for i, name in enumerate(SETS)}  # the higher, the more it is held out


def held_out_most(rows: pd.DataFrame, column: str) -> dict[str, str]:
    """Return for each known content of a column the set held out most in which it stands.

    >>> rows = pd.DataFrame({"speaker": ["a", "a", "b", ""], "split": ["dev", "train", "train", "test"]})
    >>> held_out_most(rows, "speaker")
    {'a': 'dev', 'b': 'train'}
    """
    known = rows[rows[column] != ""]
    return known["split"].map(RANK).groupby(known[column]).max().map(SETS.__getitem__).to_dict()


def crossing(rows: pd.DataFrame, column: str, others: pd.DataFrame | None = None) -> pd.Series:
    """Return True for every row whose content also stands in a set that is held out more.

    A copy in test takes the place of one in dev, and that of one in train: the test set stays whole.

    Args:
        rows: with columns ``column`` and ``split``
        column: what must not cross sets (a hash, a text, a speaker); empty where it is not known
        others: rows of another table, whose copies count too
    """
    most = held_out_most(_all(rows, others), column)
    return rows["split"].map(RANK) < rows[column].map(most).map(RANK)  # False where there is no content


def leave_out_copies(rows: pd.DataFrame, column: str, kind: Kind, branch: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep each content of a column in the set held out most alone, and say so.

    Returns:
        the rows that are left, and what had leaked, as a table of :class:`Leak`
    """
    astray = crossing(rows, column)
    if astray.any():
        print(f"{branch}: {astray.sum()} of {len(rows)} utterances left out: the same {kind} stands in another set")
    return rows[~astray].copy(), _leaks(rows, astray, column, kind, "left_out")


def part_speakers(
    rows: pd.DataFrame, settings: Partition, branch: str, others: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Deal with speakers in more than one set as ``speaker_overlap`` says; an unknown one never crosses.

    Args:
        rows: with columns ``speaker`` and ``split``
        settings: split.BRANCH
        branch: audio or text
        others: the other branch's rows, where what it tests on must not be trained on here

    Returns:
        the rows that are left, and what leaked, as a table of :class:`Leak`

    Raises:
        UserError: if there are any, and they are an error
    """
    astray = crossing(rows, "speaker", others)
    dropped = settings.speaker_overlap == "drop"
    if astray.any():
        key = f"split.{branch}.speaker_overlap"
        names = sorted(rows.loc[astray, "speaker"].unique())
        found = f"{len(names)} of {(rows['speaker'].unique() != '').sum()} speakers stand in more than one set"
        found += f" ({', '.join(names[:SHOWN])}{', ...' if len(names) > SHOWN else ''})"
        if settings.speaker_overlap == "error":
            both = others is not None and crossing(others, "speaker").any()
            raise UserError(
                f"{key}: {found}; choose {'split.audio.strategy and ' if both else ''}split.{branch}.strategy: "
                "speaker, or let speaker_overlap drop their utterances outside the set held out most, or report them"
            )
        action = f"{astray.sum()} of {len(rows)} utterances left out" if dropped else "kept"
        print(f"{branch}: {found}: {action} ({key}: {settings.speaker_overlap})")
    leaks = _leaks(rows, astray, "speaker", "speaker", "left_out" if dropped else "reported", others)
    return rows[~astray].copy() if dropped else rows, leaks


def _all(rows: pd.DataFrame, others: pd.DataFrame | None) -> pd.DataFrame:
    return rows if others is None else pd.concat([rows, others], ignore_index=True)


def _leaks(
    rows: pd.DataFrame, astray: pd.Series, column: str, kind: Kind, action: str, others: pd.DataFrame | None = None
) -> pd.DataFrame:
    utterances = rows.loc[astray, column].value_counts()
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
