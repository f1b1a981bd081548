"""Tables of what each set holds: utterances and speakers by corpus, sex and emotion."""

from __future__ import annotations

import pandas as pd

from emopipe.schemas.manifest import DIMENSIONS, SETS
from emopipe.schemas.splits import Balance

KEYS = ["split", "corpus", "sex", "emotion"]


def balance(rows: pd.DataFrame, row: type[Balance]) -> pd.DataFrame:
    """Count utterances and speakers of every set, corpus, sex and emotion.

    Args:
        rows: the split of a branch
        row: the model of the table, whose columns are returned
    """
    counts = [
        dict(zip(KEYS, key, strict=True))
        | {"utterances": len(own), "speakers": _speakers(own), "rated": _rated(own).sum()}
        for key, own in rows.assign(split=pd.Categorical(rows["split"], SETS)).groupby(KEYS, observed=True)
    ]
    return pd.DataFrame(counts, columns=list(row.model_fields))


def summary(rows: pd.DataFrame, branch: str) -> str:
    """Return a small table: utterances of each emotion, and speakers, in each set."""
    if rows.empty:
        return f"{branch}: no utterances"
    named = rows.assign(emotion=rows["emotion"].replace("", "(none)"))
    speakers = rows[rows["speaker"] != ""].drop_duplicates(["speaker", "split"])
    parts = [_count(named, "emotion"), _count(rows.assign(all="all"), "all")]
    if _rated(rows).any():
        parts.append(_count(rows[_rated(rows)].assign(all="with VAD"), "all"))
    parts += [_count(speakers.assign(all="speakers"), "all")]
    parts += [_count(speakers[speakers["sex"] != ""], "sex").rename(index="  {}".format)]
    return pd.concat(parts).rename_axis(index=None, columns=branch).to_string()


def _count(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    return pd.crosstab(rows[column], rows["split"]).reindex(columns=list(SETS), fill_value=0)


def _speakers(rows: pd.DataFrame) -> int:
    return rows.loc[rows["speaker"] != "", "speaker"].nunique()


def _rated(rows: pd.DataFrame) -> pd.Series:
    return rows.reindex(columns=list(DIMENSIONS)).notna().all(axis=1)
