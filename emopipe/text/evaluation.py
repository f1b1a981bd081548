"""What the text models say of the test set, beside what they have to beat."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier

from emopipe.schemas.predictions import NLI, PREDICTED, PROBABILITY, TEXT_COLUMNS, ZERO_SHOT, Evaluation
from emopipe.schemas.splits import rated
from emopipe.schemas.vad import featured
from emopipe.scoring.baselines import majority_accuracy, majority_class
from emopipe.scoring.classification import classification
from emopipe.scoring.statistics import classification_details, limits
from emopipe.text import vad
from emopipe.text.encoders import reload_verified
from emopipe.text.parameters import Baselines
from emopipe.text.prediction import predict
from emopipe.text.saving import Trained
from emopipe.text.vad import VAD, said
from emopipe.text.zero_shot import Calibration, anchors


def evaluate(
    trained: Trained | None,
    forest: RandomForestClassifier | None,
    rows: pd.DataFrame,
    gold: bool,
    settings: Baselines,
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
        settings: the ``evaluate`` group: what the zero-shot baselines are given
        device: where to predict
    """
    train, test = (rows[rows["split"] == name].reset_index(drop=True) for name in ("train", "test"))
    if trained is None:
        return Evaluation({"utterances": 0}, {}, test.reindex(columns=list(TEXT_COLUMNS)))
    learnt = rated(train)
    pretrained = reload_verified(trained.origin)
    texts = [*train["transcript"], *test["transcript"]]
    raw = anchors(texts, pretrained, settings.anchors, trained.settings, device)
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
        "zero_shot_uncalibrated": vad.scores(table, raw[len(train) :]),
        "mean_predictor": vad.mean_predictor(train, table),
        "majority": _majority(train, test),
        "utterances": len(test),
    }
    origins = {}
    if settings.nli is not None:
        uncalibrated, calibrated, origin = vad.entailed(train, test, settings.nli, settings.hypotheses, device)
        table[[f"{name}{NLI}" for name in VAD]] = calibrated
        scores["zero_shot_nli"] = vad.scores(table, calibrated)
        scores["zero_shot_nli_uncalibrated"] = vad.scores(table, uncalibrated)
        origins = {"nli": origin.provenance()}
    details = _details(train, table)
    headlines = {"vad": [f"ccc.{name}" for name in (*VAD, "mean")], "emotion": ["uar", "wa"]}
    scores["interval"] = {part: limits(details[part], *headlines[part]) for part in details}
    details |= origins
    columns = [*TEXT_COLUMNS, *(name for name in table if name.startswith(PROBABILITY) or name.endswith(NLI))]
    return Evaluation(scores, details, table[columns])


def _scores(table: pd.DataFrame, suffix: str) -> dict[str, Any]:
    scores = vad.scores(table, said(table, suffix))
    named = table[(table["emotion"] != "") & (table[f"emotion{suffix}"] != "")]
    return scores | ({"emotion": classification(named["emotion"], named[f"emotion{suffix}"])} if len(named) else {})


def _details(train: pd.DataFrame, table: pd.DataFrame) -> dict[str, Any]:
    """Return intervals, and tests against the baselines, of VAD and of emotions."""
    details = vad.details(train, table)
    named = table[(table["emotion"] != "") & (table[f"emotion{PREDICTED}"] != "")]
    if len(named):
        answers = named.assign(truth=named["emotion"], prediction=named[f"emotion{PREDICTED}"])
        majority = majority_class(train.loc[train["emotion"] != "", "emotion"])
        baselines = {"zero_shot": named[f"emotion{ZERO_SHOT}"], "majority": [majority] * len(named)}
        details["emotion"] = classification_details(answers, baselines)
    return details


def _majority(train: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    learnt, truth = (rows.loc[rows["emotion"] != "", "emotion"] for rows in (train, test))
    return {"accuracy": majority_accuracy(learnt, truth)} if len(learnt) and len(truth) else {}
