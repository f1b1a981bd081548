"""What the text models say of the test set, beside the zero-shot baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier

from stages.contracts.forest import featured
from stages.contracts.manifest import DIMENSIONS
from stages.contracts.parameters import ZeroShot
from stages.contracts.predictions import PREDICTED, PROBABILITY, TEXT_COLUMNS, ZERO_SHOT, Evaluation
from stages.scoring.baselines import majority_accuracy, majority_class
from stages.scoring.classification import classification
from stages.scoring.details import classification_details, limits, regression_details
from stages.scoring.regression import regression
from stages.text.encoders import load_again
from stages.text.fitting import predict, rated
from stages.text.saving import Trained
from stages.text.zero_shot import Calibration, anchors

VAD = list(DIMENSIONS)


def evaluate(
    trained: Trained | None,
    forest: RandomForestClassifier | None,
    rows: pd.DataFrame,
    gold: bool,
    sentences: ZeroShot,
    device: torch.device,
) -> Evaluation:
    """Score the test set.

    The zero-shot baseline gets what the trained models got: its VAD is calibrated on the training set, and
    a forest like the fine-tuned one's is fitted on its VAD of the training set (a forest of rated VAD is that of both).

    Args:
        trained: the regressor; None where the text branch has no utterances
        forest: from VAD of words to emotion; None where there is none
        gold: whether it learnt from VAD as rated
        rows: the text branch's split
        sentences: anchors of the zero-shot baseline
        device: where to predict
    """
    train, test = (rows[rows["split"] == name].reset_index(drop=True) for name in ("train", "test"))
    if trained is None:
        return Evaluation({"utterances": 0}, {}, test.reindex(columns=list(TEXT_COLUMNS)))
    learnt = rated(train)
    pretrained = load_again(trained.origin)
    texts = [*train["transcript"], *test["transcript"]]
    raw = anchors(texts, pretrained, sentences, trained.settings, device)
    calibration = Calibration.fit(raw[: len(train)][learnt.index], learnt[VAD].to_numpy())
    zero_shot = calibration.apply(raw)

    table = test.assign(**{f"emotion{PREDICTED}": "", f"emotion{ZERO_SHOT}": ""})
    table[[f"{name}{PREDICTED}" for name in VAD]] = predict(trained, test["transcript"], device)
    table[[f"{name}{ZERO_SHOT}" for name in VAD]] = zero_shot[len(train) :]
    if forest is not None:
        named = train[train["emotion"] != ""]
        emotions = named["emotion"].to_numpy(dtype=str)
        baseline = forest if gold else clone(forest).fit(featured(zero_shot[named.index], "text"), emotions)
        given = {suffix: table[[f"{name}{suffix}" for name in VAD]].to_numpy() for suffix in (PREDICTED, ZERO_SHOT)}
        for suffix, fitted in ((PREDICTED, forest), (ZERO_SHOT, baseline)):
            table[f"emotion{suffix}"] = fitted.predict(featured(given[suffix], "text"))
        columns = [f"{PROBABILITY}{emotion}" for emotion in forest.classes_]
        table[columns] = forest.predict_proba(featured(given[PREDICTED], "text"))
    scores = {
        "fine_tuned": _scores(table, PREDICTED),
        "zero_shot": _scores(table, ZERO_SHOT),
        "zero_shot_uncalibrated": _vad(table, raw[len(train) :]),
        "majority": _majority(train, test),
        "utterances": len(test),
    }
    details = _details(train, table)
    headlines = {"vad": [f"ccc.{name}" for name in (*VAD, "mean")], "emotion": ["uar", "wa"]}
    scores["interval"] = {part: limits(details[part], *headlines[part]) for part in details}
    columns = [*TEXT_COLUMNS, *(name for name in table.columns if name.startswith(PROBABILITY))]
    return Evaluation(scores, details, table[columns])


def _scores(table: pd.DataFrame, suffix: str) -> dict[str, Any]:
    scores = _vad(table, table[[f"{name}{suffix}" for name in VAD]].to_numpy())
    named = table[(table["emotion"] != "") & (table[f"emotion{suffix}"] != "")]
    return scores | ({"emotion": classification(named["emotion"], named[f"emotion{suffix}"])} if len(named) else {})


def _details(train: pd.DataFrame, table: pd.DataFrame) -> dict[str, Any]:
    """Return intervals, and tests against zero-shot and majority, of VAD and of emotions."""
    details: dict[str, Any] = {}
    known = rated(table)
    if len(known):
        gold, predicted, zero_shot = (
            known[[f"{name}{suffix}" for name in VAD]].to_numpy() for suffix in ("", PREDICTED, ZERO_SHOT)
        )
        details["vad"] = regression_details(gold, predicted, known["speaker"], {"zero_shot": zero_shot})
    named = table[(table["emotion"] != "") & (table[f"emotion{PREDICTED}"] != "")]
    if len(named):
        answers = named.assign(truth=named["emotion"], prediction=named[f"emotion{PREDICTED}"])
        majority = majority_class(train.loc[train["emotion"] != "", "emotion"])
        baselines = {"zero_shot": named[f"emotion{ZERO_SHOT}"], "majority": [majority] * len(named)}
        details["emotion"] = classification_details(answers, baselines)
    return details


def _vad(table: pd.DataFrame, predicted: np.ndarray) -> dict[str, Any]:
    known = rated(table)
    return {"vad": regression(known[VAD].to_numpy(), predicted[known.index])} if len(known) else {}


def _majority(train: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    learnt, truth = (rows.loc[rows["emotion"] != "", "emotion"] for rows in (train, test))
    return {"accuracy": majority_accuracy(learnt, truth)} if len(learnt) and len(truth) else {}
