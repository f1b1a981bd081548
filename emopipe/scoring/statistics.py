"""What stands behind the scores: intervals, tests against other models, groups of speakers, the worth of confidence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from emopipe.schemas.dev_answers import DevAnswers
from emopipe.schemas.predictions import TRAINED
from emopipe.scoring.bootstrap import clusters_of
from emopipe.scoring.calibration import brier_score, expected_calibration_error, reliability
from emopipe.scoring.classification import classification
from emopipe.scoring.groups import group_scores
from emopipe.scoring.intervals import Interval
from emopipe.scoring.paired import Difference
from emopipe.scoring.selective import (
    aurc,
    confidence_threshold,
    conformal_threshold,
    prediction_sets,
    risk_coverage,
)
from emopipe.scoring.targets import EmotionTarget, Target

GROUPS = ("speaker", "sex", "corpus", "language")
COVERAGES, SETS = (0.9, 0.8), 0.9  # that are requested
POINTS = 200  # of the curve of risk and coverage


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

    Args:
        target: with probabilities of the trained model
        temperature: T, by which they are calibrated; None: they are not

    Returns:
        ``calibration``, the scores, and ``reliability`` and ``reliability_before``, the bins
    """
    probabilities, classes = target.probabilities[TRAINED], target.classes
    before = probabilities
    if temperature is not None:
        before = uncalibrated(probabilities, temperature)
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


def uncalibrated(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities as they were before a temperature: p^T / Σ p^T.

    With outputs z and p = softmax(z / T), they are softmax(z).

    Args:
        probabilities: p, [utterances, classes]
        temperature: T
    """
    before = probabilities**temperature
    return before / before.sum(axis=1, keepdims=True)


def selection(target: EmotionTarget, dev: DevAnswers) -> dict[str, Any]:
    """Return what the trained model's confidence is worth: which answers to leave out, and what cannot be ruled out.

    All thresholds are those of the dev set, as :mod:`emopipe.recognition.abstention` takes them.

    Args:
        target: with probabilities of the trained model
        dev: its answers for the dev set, calibrated as those are

    Returns:
        ``aurc``, the area under the curve of risk and coverage, and ``aurc_perfect``, that of an order in which all
        right answers come first; ``curve``, some of its points; ``answered``: by requested coverage, the
        ``threshold``, the share ``covered``, and accuracy and UAR of that; ``sets``: the requested share,
        whom it is promised for (``guarantee``), the share that holds the truth (``covered``), that of the speaker with
        the lowest (``worst``; None where no speaker is known), and the mean ``size``
    """
    probabilities, classes = target.probabilities[TRAINED], target.classes
    coverage, risk = risk_coverage(probabilities, classes)
    wrong = np.sort(probabilities.argmax(axis=1) != classes)
    shown = np.unique(np.linspace(0, len(risk) - 1, POINTS).round().astype(int))
    answered = {}
    for share in COVERAGES:
        threshold = confidence_threshold(dev.probabilities, dev.speakers, share)
        given = probabilities.max(axis=1) >= threshold
        answers = target.truth[given], target.predictions[TRAINED][given]
        scores = classification(*answers) if given.any() else {"accuracy": None, "uar": None}
        answered[f"{share:g}"] = {
            "threshold": threshold,
            "covered": float(given.mean()),
            "accuracy": scores["accuracy"],
            "uar": scores["uar"],
        }
    largest, guarantee = conformal_threshold(dev.probabilities, dev.targets, dev.speakers, SETS)
    inside = prediction_sets(probabilities, largest)
    held = pd.Series(inside[np.arange(len(classes)), classes])
    speakers = target.utterances["speaker"].to_numpy()
    known = speakers != ""
    return {
        "aurc": aurc(probabilities, classes),
        "aurc_perfect": float((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean()),
        "curve": [{"coverage": float(coverage[i]), "risk": float(risk[i])} for i in shown],
        "answered": answered,
        "sets": {
            "share": SETS,
            "guarantee": guarantee,
            "covered": float(held.mean()),
            "worst": float(held[known].groupby(speakers[known]).mean().min()) if known.any() else None,
            "size": float(inside.sum(axis=1).mean()),
            "labels": inside.shape[1],
        },
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
