"""The scores of every model, of every target, of every branch."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import pandas as pd

from emopipe.schemas.predictions import BRANCHES, TRAINED
from emopipe.scoring.statistics import statistics
from emopipe.scoring.targets import TARGETS, Target


def targets_of(tables: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, Target]]:
    """Return by branch and name the targets of which the truth of an utterance is known.

    Args:
        tables: of predictions, by target: ``emotion`` and ``vad``
    """
    found: dict[str, dict[str, Target]] = {branch: {} for branch in BRANCHES}
    for branch, name in product(BRANCHES, TARGETS):
        target = TARGETS[name].of(tables[name][tables[name]["branch"] == branch])
        if len(target.utterances):
            found[branch][name] = target
    return found


def evaluate(targets: Mapping[str, Mapping[str, Target]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scores by branch, target and model, and the statistics by branch and target.

    A score stands beside ``utterances``, their number; that of the trained model beside ``interval``, those of the
    headline as far as they are defined.

    Args:
        targets: by branch and name
    """
    scores: dict[str, Any] = {branch: {} for branch in targets}
    details: dict[str, Any] = {branch: {} for branch in targets}
    for branch, own in targets.items():
        for name, target in own.items():
            details[branch][name] = statistics(target)
            scores[branch][name] = {
                model: nested(target.scores(model)) | {"utterances": len(target.utterances)} for model in target.models
            }
            intervals = details[branch][name]["intervals"][TRAINED]
            scores[branch][name][TRAINED]["interval"] = {
                score: {end: intervals[score][end] for end in ("low", "high")}
                for score in target.headline
                if intervals[score]["low"] is not None
            }
    return scores, details


def nested(scores: Mapping[str, float]) -> dict[str, Any]:
    """Return flat names as groups.

    >>> nested({"uar": 0.5, "recall.anger": 0.4, "recall.calm": 0.6})
    {'uar': 0.5, 'recall': {'anger': 0.4, 'calm': 0.6}}
    """
    found: dict[str, Any] = {}
    for name, value in scores.items():
        group, _, part = name.partition(".")
        if part:
            found.setdefault(group, {})[part] = value
        else:
            found[name] = value
    return found
