"""The headline scores of the trained models and of what they have to beat, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from emopipe.scoring.bootstrap import classification_intervals, regression_intervals
from emopipe.scoring.intervals import Interval

MAJORITY, MEAN = "majority", "mean"
COLUMNS = ("name", "target", "score", "model", "value", "low", "high", "note")


def emotion_rows(
    target: str, truth: Sequence[str], speakers: Sequence[str], models: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Return UAR and accuracy (WA) of each model.

    Args:
        target: what is predicted
        truth: [utterances]
        speakers: [utterances], empty where not known
        models: predictions by the model's name, each [utterances]; the one called ``MAJORITY`` always says the same

    Returns:
        rows with ``COLUMNS``
    """
    rows = []
    for model, prediction in models.items():
        found = classification_intervals(truth, prediction, speakers)
        if model == MAJORITY:
            note = "one answer for all: one recall is 1 and the others 0, whoever speaks"
            found["uar"] = found["uar"]._replace(low=None, high=None, note=note)
        rows += [_row(target, score, model, found[key]) for key, score in (("uar", "UAR"), ("accuracy", "WA"))]
    return rows


def vad_rows(
    branch: str, names: Sequence[str], gold: np.ndarray, speakers: Sequence[str], models: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Return the concordance correlation of each model and dimension.

    Args:
        branch: audio or text
        names: of the dimensions
        gold: [utterances, dimensions]
        speakers: [utterances], empty where not known
        models: predictions by the model's name, each [utterances, dimensions]

    Returns:
        rows with ``COLUMNS``
    """
    found = {model: regression_intervals(gold, said, speakers, names)["ccc"] for model, said in models.items()}
    return [_row(f"{branch} {name}", "CCC", model, scores[name]) for name in names for model, scores in found.items()]


def _row(target: str, score: str, model: str, found: Interval) -> dict[str, Any]:
    values = (f"{target}, {score}, {model}", target, score, model, found.value, found.low, found.high, found.note)
    return dict(zip(COLUMNS, values, strict=True))
