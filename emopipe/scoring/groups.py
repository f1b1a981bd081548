"""Scores per group of speakers, and the gap between the best group and the worst."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from emopipe.scoring.classification import classification

LEAST = 10  # utterances below which a group's scores are mostly chance


class GroupScores(NamedTuple):
    """Scores of each group, and how far the best is from the worst."""

    scores: pd.DataFrame  # one row per group, named by it: utterances, accuracy, uar
    gaps: dict[str, float | None]  # max − min of accuracy and uar; None with fewer than two groups


def group_scores(table: pd.DataFrame, column: str, least: int = LEAST) -> GroupScores:
    """Return accuracy and UAR per speaker, sex, corpus or language, and their gaps.

    A gap is max − min over the groups (Mehrabi et al., "A survey on bias and fairness in machine learning", ACM
    Computing Surveys 54, 2021; of recalls, the equal opportunity of Hardt, Price & Srebro, NeurIPS 2016). With more
    groups or smaller ones, chance alone makes it larger: read it beside the intervals of the groups.

    A class without an utterance in a group is left out of the UAR of that group; UARs of groups with different classes
    are then of different difficulty. Utterances whose group is not known ('') and groups with fewer than ``least``
    utterances are left out.

    Args:
        table: with ``truth``, ``prediction`` and ``column``
        column: which groups
        least: utterances a group must have

    >>> table = pd.DataFrame({"truth": list("aabb") * 2, "prediction": list("aabbabbb"), "sex": list("ffffmmmm")})
    >>> group_scores(table, "sex", least=4).gaps
    {'accuracy': 0.25, 'uar': 0.25}
    """
    known = table[table[column].notna() & (table[column] != "")]
    rows = {}
    for name, group in known.groupby(column, sort=True):
        if len(group) >= least:
            scores = classification(group["truth"], group["prediction"])
            rows[name] = {"utterances": len(group), "accuracy": scores["accuracy"], "uar": scores["uar"]}
    scores = pd.DataFrame.from_dict(rows, orient="index", columns=["utterances", "accuracy", "uar"])
    scores = scores.rename_axis(column)
    gaps = {name: _gap(scores[name]) for name in ("accuracy", "uar")}
    return GroupScores(scores, gaps)


def _gap(values: pd.Series) -> float | None:
    return float(values.max() - values.min()) if len(values) > 1 else None
