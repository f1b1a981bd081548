"""What stands behind the scores: intervals, tests against other models, groups of speakers, calibration."""

from __future__ import annotations

from typing import Any

import pandas as pd

from emopipe.schemas.predictions import TRAINED
from emopipe.scoring.bootstrap import clusters_of
from emopipe.scoring.calibration import brier_score, expected_calibration_error, reliability
from emopipe.scoring.groups import group_scores
from emopipe.scoring.intervals import Interval
from emopipe.scoring.paired import Difference
from emopipe.scoring.targets import EmotionTarget, Target

GROUPS = ("speaker", "sex", "corpus", "language")


def statistics(target: Target) -> dict[str, Any]:
    """Return what is known of a target beyond its scores, as JSON can hold it.

    Args:
        target: with at least one utterance, and a model called ``trained``

    Returns:
        ``utterances``; ``by``, what the bootstrap resamples, and ``units``, their number; ``intervals`` by model and
        score; ``tests`` of the trained model against every other, by that and score; of emotions also ``mcnemar_p``
        there, and ``groups``: scores of the trained model and their gap
    """
    speakers = target.utterances["speaker"]
    others = [model for model in target.models if model != TRAINED]
    found: dict[str, Any] = {
        "utterances": len(speakers),
        "by": "speaker" if (speakers != "").any() else "utterance",
        "units": int(clusters_of(speakers, len(speakers)).max()) + 1,
        "intervals": {
            model: {score: _interval(one) for score, one in target.intervals(model).items()} for model in target.models
        },
        "tests": {
            other: {score: _difference(one) for score, one in target.differences([TRAINED], [other]).items()}
            for other in others
        },
    }
    if isinstance(target, EmotionTarget):
        for other in others:
            found["tests"][other]["mcnemar_p"] = target.mcnemar(TRAINED, other).p
        answers = target.utterances.assign(truth=target.truth, prediction=target.predictions[TRAINED])
        found["groups"] = {column: _groups(answers, column) for column in GROUPS}
    return found


def calibration(target: EmotionTarget, temperature: float | None) -> dict[str, Any]:
    """Return how sure the trained model is and how right, with its temperature and without.

    Without, the probabilities are p^T / Σ p^T: with outputs z and p = softmax(z / T), they are softmax(z).

    Args:
        target: with probabilities of the trained model
        temperature: T, by which they are calibrated; None: they are not

    Returns:
        ``calibration``, the scores, and ``reliability`` and ``reliability_before``, the bins
    """
    probabilities, classes = target.probabilities[TRAINED], target.classes
    before = probabilities
    if temperature is not None:
        before = probabilities**temperature
        before /= before.sum(axis=1, keepdims=True)
    return {
        "calibration": {
            "temperature": temperature,
            "ece": expected_calibration_error(probabilities, classes),
            "brier": brier_score(probabilities, classes),
            "ece_before": expected_calibration_error(before, classes),
            "brier_before": brier_score(before, classes),
        },
        "reliability": reliability(probabilities, classes).to_dict("records"),
        "reliability_before": reliability(before, classes).to_dict("records"),
    }


def _interval(found: Interval) -> dict[str, Any]:
    note = {"note": found.note} if found.note else {}
    return {"value": found.value, "low": found.low, "high": found.high} | note


def _difference(found: Difference) -> dict[str, Any]:
    note = {"note": found.note} if found.note else {}
    return {"difference": found.value, "low": found.low, "high": found.high, "p": found.p} | note


def _groups(answers: pd.DataFrame, column: str) -> dict[str, Any]:
    found = group_scores(answers, column)
    values = {
        str(name): {"uar": float(row["uar"]), "accuracy": float(row["accuracy"]), "utterances": int(row["utterances"])}
        for name, row in found.scores.iterrows()
    }
    return {"values": values, "gap": found.gaps["uar"]}
