"""Valence, arousal and dominance of the test set: their scores, beside those of what was not fine-tuned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import NLI, PREDICTED, ZERO_SHOT
from emopipe.schemas.splits import rated
from emopipe.scoring.baselines import mean_prediction, mean_scores
from emopipe.scoring.regression import regression
from emopipe.scoring.statistics import regression_details
from emopipe.text import nli
from emopipe.text.parameters import Hypotheses
from emopipe.text.zero_shot import Calibration
from emopipe.weights.files import Origin

VAD = list(DIMENSIONS)
ENOUGH = 1000  # training utterances for a straight line: reading all of a corpus, nine times each, can take hours


def scores(table: pd.DataFrame, predicted: np.ndarray) -> dict[str, Any]:
    """Return ``vad``: every score of the utterances that are rated; nothing where none is.

    Args:
        table: rows of the test set, numbered from 0
        predicted: on the 1..5 scale, [rows, 3]
    """
    known = rated(table)
    return {"vad": regression(known[VAD].to_numpy(), predicted[known.index])} if len(known) else {}


def mean_predictor(train: pd.DataFrame, table: pd.DataFrame) -> dict[str, Any]:
    """Return ``vad``: the scores of always answering with the mean of the training set; nothing where none is rated."""
    known = rated(table)[VAD].to_numpy()
    return {"vad": mean_scores(rated(train)[VAD].to_numpy(), known)} if len(known) else {}


def entailed(
    train: pd.DataFrame, test: pd.DataFrame, name: str, hypotheses: Hypotheses, device: torch.device
) -> tuple[np.ndarray, np.ndarray, Origin]:
    """Return what an MNLI model says of the test set, raw and calibrated on the training set, [rows, 3] each.

    The calibration reads a thousand training utterances at most, evenly chosen.

    Args:
        train: rows of the training set
        test: rows of the test set
        name: of the model, ``evaluate.nli``
        hypotheses: what a text may entail
        device: where to read

    Returns:
        and where the model's weights come from
    """
    model = nli.load(name)
    learnt = rated(train)
    some = learnt.iloc[np.unique(np.linspace(0, len(learnt) - 1, min(len(learnt), ENOUGH)).round().astype(int))]
    line = Calibration.fit(nli.ratings(some["transcript"], model, hypotheses, device), some[VAD].to_numpy())
    raw = nli.ratings(test["transcript"], model, hypotheses, device)
    return raw, line.apply(raw), model.origin


def details(train: pd.DataFrame, table: pd.DataFrame) -> dict[str, Any]:
    """Return ``vad``: intervals, and tests of fine-tuned against each baseline; nothing where no row is rated.

    Args:
        train: rows of the training set
        table: rows of the test set with their predictions
    """
    known = rated(table)
    if known.empty:
        return {}
    kinds = {"zero_shot": ZERO_SHOT, "zero_shot_nli": NLI}
    baselines = {name: said(known, kind) for name, kind in kinds.items() if f"{VAD[0]}{kind}" in known}
    baselines["mean_predictor"] = mean_prediction(rated(train)[VAD].to_numpy(), len(known))
    return {"vad": regression_details(known[VAD].to_numpy(), said(known, PREDICTED), known["speaker"], baselines)}


def said(table: pd.DataFrame, kind: str) -> np.ndarray:
    """Return the predictions of one kind, [rows, 3]."""
    return table[[f"{name}{kind}" for name in VAD]].to_numpy()
