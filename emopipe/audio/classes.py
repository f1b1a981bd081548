"""Scores of a classification of the test set, beside the most frequent class and the zero-shot baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from emopipe.schemas.predictions import Evaluation, audio_table
from emopipe.scoring.baselines import majority_accuracy, majority_class
from emopipe.scoring.calibration import brier_score, expected_calibration_error, reliability
from emopipe.scoring.classification import classification, recall_per_class
from emopipe.scoring.statistics import classification_details, limits


def evaluate(
    training: pd.Series,
    test: pd.DataFrame,
    outputs: np.ndarray,
    temperature: float | None,
    zero_shot: np.ndarray | None,
    labels: Sequence[str],
) -> Evaluation:
    """Score what the model says.

    Args:
        training: emotions of the training set
        test: rows of the split
        outputs: of the model, before the softmax, [rows, classes]
        temperature: what they are divided by; None: nothing
        zero_shot: probabilities of the zero-shot baseline, [rows, classes]; None: there is none
        labels: names of the classes
    """
    classes = test["emotion"].map({label: i for i, label in enumerate(labels)}).to_numpy()
    raw = softmax(outputs, axis=1)
    probabilities = raw if temperature is None else softmax(outputs / temperature, axis=1)
    table = audio_table(test, probabilities, zero_shot, labels)
    truth = table["truth"]
    baselines = {"majority": [majority_class(training)] * len(table)}
    baselines |= {} if zero_shot is None else {"zero_shot": table["zero_shot"]}
    scores = _scores(truth, table["prediction"]) | {
        "recall": recall_per_class(truth, table["prediction"]),
        "ece": expected_calibration_error(probabilities, classes),
        "brier": brier_score(probabilities, classes),
        "majority_wa": majority_accuracy(training, truth),
        "utterances": len(test),
    }
    scores |= {} if zero_shot is None else {"zero_shot": _scores(truth, table["zero_shot"])}
    details = classification_details(table, baselines)
    scores["interval"] = limits(details, "uar", "wa")
    details |= {
        "calibration": {
            "temperature": temperature,
            "ece": scores["ece"],
            "brier": scores["brier"],
            "ece_before": expected_calibration_error(raw, classes),
            "brier_before": brier_score(raw, classes),
        },
        "reliability": reliability(probabilities, classes).to_dict("records"),
        "reliability_before": reliability(raw, classes).to_dict("records"),
    }
    return Evaluation(scores, details, table)


def _scores(truth: pd.Series, prediction: pd.Series) -> dict[str, Any]:
    scores = classification(truth, prediction)
    return {"uar": scores["uar"], "wa": scores["accuracy"]} | {k: scores[k] for k in ("macro_f1", "weighted_f1")}
