"""What stands behind the headline scores: intervals, tests against baselines, groups of speakers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from emopipe.schemas.manifest import DIMENSIONS
from emopipe.scoring.bootstrap import classification_intervals, regression_intervals
from emopipe.scoring.groups import group_scores
from emopipe.scoring.intervals import Interval
from emopipe.scoring.mcnemar import mcnemar
from emopipe.scoring.paired import Difference, classification_difference, regression_difference
from emopipe.scoring.regression import flatten

GROUPS = ("speaker", "sex", "corpus", "language")
ACCURACY = {"accuracy": "wa"}  # what the field calls it, beside the unweighted average recall


def classification_details(table: pd.DataFrame, baselines: dict[str, Sequence[str]]) -> dict[str, Any]:
    """Return what is known about predicted classes beyond their scores.

    Args:
        table: with ``truth``, ``prediction`` and the columns of ``GROUPS``, empty where not known
        baselines: predictions of others for the same rows, by name

    Returns:
        ``intervals`` of every score, ``tests`` against each baseline, ``groups``: scores and their gap
    """
    truth, prediction, speakers = table["truth"], table["prediction"], table["speaker"]
    intervals = {
        _named(name): _interval(found, speakers)
        for name, found in classification_intervals(truth, prediction, speakers).items()
    }
    tests = {}
    for name, other in baselines.items():
        differences = classification_difference(truth, [prediction], [other], speakers)
        right = [(np.asarray(run) == truth).to_numpy() for run in (prediction, other)]
        tests[name] = {_named(score): _difference(found) for score, found in differences.items()}
        tests[name]["mcnemar_p"] = mcnemar(*right).p
    return {"intervals": intervals, "tests": tests, "groups": {column: _groups(table, column) for column in GROUPS}}


def regression_details(
    truth: np.ndarray,
    prediction: np.ndarray,
    speakers: pd.Series,
    baselines: dict[str, np.ndarray],
    names: Sequence[str] = DIMENSIONS,
) -> dict[str, Any]:
    """Return ``intervals`` of every score and dimension (``ccc.valence``), and ``tests`` against each baseline.

    Args:
        truth: [utterances, dimensions]
        prediction: likewise
        speakers: [utterances], empty where not known
        baselines: predictions of others, by name, each [utterances, dimensions]
        names: of the dimensions
    """
    intervals = flatten(regression_intervals(truth, prediction, speakers, names))
    tests = {
        name: {
            key: _difference(found)
            for key, found in flatten(regression_difference(truth, [prediction], [other], speakers, names)).items()
        }
        for name, other in baselines.items()
    }
    return {"intervals": {key: _interval(found, speakers) for key, found in intervals.items()}, "tests": tests}


def limits(details: dict[str, Any], *names: str) -> dict[str, dict[str, float]]:
    """Return ``low`` and ``high`` of the named scores, as far as their intervals are defined."""
    found = {name: details["intervals"][name] for name in names}
    return {n: {k: i[k] for k in ("low", "high")} for n, i in found.items() if i["low"] is not None}


def _named(score: str) -> str:
    return f"recall.{score.removeprefix('recall_')}" if score.startswith("recall_") else ACCURACY.get(score, score)


def _interval(found: Interval, speakers: pd.Series) -> dict[str, Any]:
    by = "speaker" if (speakers != "").any() else "utterance"
    return {"value": found.value, "low": found.low, "high": found.high, "by": by, "units": found.clusters} | (
        {"note": found.note} if found.note else {}
    )


def _difference(found: Difference) -> dict[str, Any]:
    return {"difference": found.value, "low": found.low, "high": found.high, "p": found.p} | (
        {"note": found.note} if found.note else {}
    )


def _groups(table: pd.DataFrame, column: str) -> dict[str, Any]:
    found = group_scores(table, column)
    values = {
        str(name): {"uar": float(row["uar"]), "wa": float(row["accuracy"]), "utterances": int(row["utterances"])}
        for name, row in found.scores.iterrows()
    }
    return {"values": values, "gap": found.gaps["uar"]}
