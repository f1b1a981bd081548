"""The scores that are shown first, and what models and branches are called."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from emopipe.schemas.manifest import DIMENSIONS

BRANCHES, TARGETS = ("audio", "forest", "text"), ("emotion", "vad")  # in the order they are shown
LABELS = {  # of the models that are shown, ours first
    "trained": "trained",
    "text_only": "text only",
    "audio_only": "audio only",
    "zero_shot": "zero-shot",
    "nli": "zero-shot NLI",
    "majority": "majority",
    "mean": "mean",
}
CONSTANT = ("majority", "mean")  # those that answer the same to everything; a target has one of them
COLUMNS = ("name", "target", "score", "model", "value", "low", "high", "note")


def evaluated(statistics: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give branch, target and statistics of everything that was tested."""
    for branch in BRANCHES:
        for target in TARGETS:
            if found := statistics.get(branch, {}).get(target):
                yield branch, target, found


def headline(statistics: dict[str, Any]) -> pd.DataFrame:
    """Return the headline scores: UAR and accuracy (WA) of emotions, CCC of each dimension.

    Args:
        statistics: by branch and target, see data/predictions/statistics.json

    Returns:
        ``COLUMNS``; a row per branch, target, score and model, ``low`` and ``high`` NaN where there is no interval
    """
    found = []
    for branch, target, part in evaluated(statistics):
        for title, name, key in _scores(target, part["intervals"]["trained"]):
            for model, label in LABELS.items():
                if own := part["intervals"].get(model, {}).get(key):
                    what = f"{branch} {title}"
                    numbers = [math.nan if own[n] is None else own[n] for n in ("value", "low", "high")]
                    found.append((f"{what}, {name}, {label}", what, name, label, *numbers, own.get("note", "")))
    return pd.DataFrame(found, columns=list(COLUMNS)).astype(dict.fromkeys(("value", "low", "high"), float))


def _scores(target: str, intervals: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return what is predicted, the score as it is spelled, and its key."""
    if target == "emotion":
        return [("emotion", "UAR", "uar"), ("emotion", "WA", "accuracy")]
    return [(name, "CCC", f"ccc.{name}") for name in DIMENSIONS if f"ccc.{name}" in intervals]


def confusion(predictions: pd.DataFrame) -> pd.DataFrame:
    """Count how each true class was predicted.

    Args:
        predictions: with ``truth`` and ``prediction``, a row per utterance

    Returns:
        a row per true and a column per predicted class, both all classes in the order of the alphabet
    """
    labels = sorted({*predictions["truth"], *predictions["prediction"]})
    counts = pd.crosstab(predictions["truth"], predictions["prediction"])
    return counts.reindex(index=labels, columns=labels, fill_value=0)
