"""What the models were trained and tested on, in numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd

from emopipe.schemas.manifest import DIMENSIONS, SETS

SYNTHETIC = "synthetic"  # the corpus that a synthesiser speaks
UNNAMED = "(no emotion)"
REASONS = 20  # for which a recording was rejected, the most frequent ones


def describe(rows: pd.DataFrame, leaks: pd.DataFrame) -> dict[str, Any] | None:
    """Return the sizes of a branch's sets, or None where the branch has no utterances.

    Args:
        rows: the split of the branch
        leaks: what stood in more than one set

    Returns:
        ``sets``: of each set the utterances, speakers, corpora and languages; ``train_and_dev``: the same of both
        together; ``emotions``: a row per emotion with utterances and speakers of each set; ``shared``: number of test
        speakers that are in train or dev as well; ``synthetic``; ``leaks``: number of them and of their utterances, by
        kind, sets and what was done
    """
    if rows.empty:
        return None
    named = rows.assign(emotion=rows["emotion"].replace("", UNNAMED))
    speakers = {name: _speakers(rows[rows["split"] == name]) for name in SETS}
    return {
        "sets": {name: _set(rows[rows["split"] == name]) for name in SETS},
        "train_and_dev": _set(rows[rows["split"] != "test"]),
        "emotions": {
            emotion: {name: _sizes(own[own["split"] == name]) for name in SETS}
            for emotion, own in named.groupby("emotion", sort=True)
        },
        "shared": len(speakers["test"] & (speakers["train"] | speakers["dev"])),
        "synthetic": SYNTHETIC in set(rows["corpus"]),
        "leaks": leaks.groupby(["kind", "sets", "action"], as_index=False)
        .agg(number=("content", "size"), utterances=("utterances", "sum"))
        .to_dict("records"),
    }


def reasons(rejected: pd.DataFrame) -> dict[str, int]:
    """Return how many recordings were rejected for each reason, the most frequent first.

    >>> reasons(pd.DataFrame({"reason": ["silent", "cut short", "silent"]}))
    {'silent': 2, 'cut short': 1}
    """
    counts = {str(reason): int(count) for reason, count in rejected["reason"].value_counts().sort_index().items()}
    ordered = dict(sorted(counts.items(), key=lambda item: -item[1]))
    shown = dict(list(ordered.items())[:REASONS])
    others = sum(ordered.values()) - sum(shown.values())
    return shown | ({"other reasons": others} if others else {})


def _set(rows: pd.DataFrame) -> dict[str, Any]:
    sexes = rows[rows["speaker"] != ""].drop_duplicates("speaker")["sex"].replace("", "sex unknown").value_counts()
    return _sizes(rows) | {
        "corpora": sorted(set(rows["corpus"])),
        "languages": sorted(set(rows["language"]) - {""}),
        "sexes": {str(sex): int(count) for sex, count in sexes.sort_index().items()},
        "unknown": int((rows["speaker"] == "").sum()),
        "rated": int(rows.reindex(columns=list(DIMENSIONS)).notna().all(axis=1).sum()),
    }


def _sizes(rows: pd.DataFrame) -> dict[str, int]:
    return {"utterances": len(rows), "speakers": len(_speakers(rows))}


def _speakers(rows: pd.DataFrame) -> set[str]:
    return set(rows["speaker"]) - {""}
