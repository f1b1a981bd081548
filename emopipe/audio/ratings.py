"""Scores of a regression of the test set, beside a model that always says the mean of the training set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emopipe.schemas.predictions import Evaluation, rated_table
from emopipe.scoring.baselines import mean_prediction, mean_scores
from emopipe.scoring.regression import regression
from emopipe.scoring.statistics import limits, regression_details


def evaluate(training: np.ndarray, test: pd.DataFrame, predicted: np.ndarray, targets: Sequence[str]) -> Evaluation:
    """Score what the model says.

    Args:
        training: ratings of the training set, [utterances, targets]
        test: rows of the split, all of them rated
        predicted: on the 1..5 scale, [rows, targets]
        targets: which dimensions
    """
    gold = test[list(targets)].to_numpy()
    constant = {"mean_predictor": mean_prediction(training, len(test))}
    details = regression_details(gold, predicted, test["speaker"], constant, targets)
    scores = regression(gold, predicted, targets) | {
        "mean_predictor": mean_scores(training, gold, targets),
        "utterances": len(test),
        "interval": limits(details, *(f"ccc.{name}" for name in (*targets, "mean"))),
    }
    return Evaluation(scores, details, rated_table(test, predicted, targets))
