"""Predictions of the test set from text, by the trained regressor and the zero-shot baselines."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import TRAINED, VadPrediction, vad_table
from emopipe.schemas.splits import rated
from emopipe.schemas.vad import PredictedVad
from emopipe.text import nli
from emopipe.text.encoders import reload_verified
from emopipe.text.parameters import Baselines
from emopipe.text.prediction import predict
from emopipe.text.saving import Trained
from emopipe.text.zero_shot import Calibration, anchors

VAD = list(DIMENSIONS)
ENOUGH = 1000  # training utterances for a straight line: reading all of a corpus, nine times each, can take hours


class Predicted(NamedTuple):
    """What is predicted of the test set, and of the training set for a zero-shot forest."""

    vad: pd.DataFrame  # rows of the table of dimensions
    training: pd.DataFrame  # zero-shot VAD of training utterances with an emotion, with the columns of PredictedVad
    origins: dict[str, Any]  # where the weights of the NLI model come from, by ``nli``; empty without one


def predict_test_set(
    trained: Trained | None, rows: pd.DataFrame, settings: Baselines, device: torch.device
) -> Predicted:
    """Predict the test set by the trained regressor and its zero-shot baselines.

    A zero-shot baseline gets what the regressor got: its VAD is calibrated on the training set. Its predictions before
    that stand beside it.

    Args:
        trained: the regressor; None where the text branch has no utterances
        rows: the text branch's split
        settings: what the zero-shot baselines are given
        device: where to predict
    """
    if trained is None:
        return Predicted(*(pd.DataFrame(columns=list(row.model_fields)) for row in (VadPrediction, PredictedVad)), {})
    train, test = (rows[rows["split"] == name].reset_index(drop=True) for name in ("train", "test"))
    texts = [*train["transcript"], *test["transcript"]]
    raw = anchors(texts, reload_verified(trained.origin), settings.anchors, trained.settings, device)
    known = rated(train)
    line = Calibration.fit(raw[: len(train)][known.index], known[VAD].to_numpy())
    zero_shot, origins = line.apply(raw), {}
    models = {
        TRAINED: predict(trained, test["transcript"], device),
        "zero_shot": zero_shot[len(train) :],
        "zero_shot_uncalibrated": raw[len(train) :],
    }
    if settings.nli is not None:
        models["nli"], models["nli_uncalibrated"], origins["nli"] = _nli(train, test, settings, device)
    training = train[["utterance", "emotion"]].assign(**dict(zip(VAD, zero_shot[: len(train)].T, strict=True)))
    return Predicted(
        pd.concat([vad_table(test, "text", model, predicted) for model, predicted in models.items()]),
        training[training["emotion"] != ""],
        origins,
    )


def _nli(
    train: pd.DataFrame, test: pd.DataFrame, settings: Baselines, device: torch.device
) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Return the predictions of an MNLI model for the test set, calibrated and not, and where its weights come from.

    The calibration reads a thousand training utterances at most, evenly chosen.
    """
    model, known = nli.load(settings.nli), rated(train)
    some = known.iloc[np.unique(np.linspace(0, len(known) - 1, min(len(known), ENOUGH)).round().astype(int))]
    raw = [nli.ratings(part["transcript"], model, settings.hypotheses, device) for part in (some, test)]
    line = Calibration.fit(raw[0], some[VAD].to_numpy())
    return line.apply(raw[1]), raw[1], model.origin.provenance()
