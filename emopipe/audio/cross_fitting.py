"""Valence, arousal and dominance of training utterances from sound, for the forest to learn from."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import torch

from emopipe.audio import saving
from emopipe.audio.fitting import fit
from emopipe.audio.parameters import Model, Train
from emopipe.audio.prediction import predict
from emopipe.encoding.store import Store
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.training.cross_fitting import cross_fit
from emopipe.training.tracking import Tracker

VAD = list(DIMENSIONS)


def training_vad(
    rows: pd.DataFrame,
    kind: Literal["out_of_sample", "in_sample", "gold"],
    parts: int,
    settings: Model,
    optimisation: Train,
    store: Store,
    device: torch.device,
    folder: Path,
) -> pd.DataFrame:
    """Return the VAD of training utterances with an emotion that ``forest.vad`` names.

    Every utterance of a regression is rated, so the final regressor learnt from all of them: out of sample, every one
    is cross-fitted, by regressors that choose their epoch on dev and are fitted again as the final one is.

    Args:
        rows: the split table of the audio branch, for a regression of all three dimensions
        kind: ``forest.vad``
        parts: number of regressors to train
        settings: the ``model`` group
        optimisation: the ``train`` group
        store: what the frozen part of the backbone said of the rows
        device: where to train and predict
        folder: for checkpoints

    Returns:
        rows of the table, with the three dimensions in place of its own

    Raises:
        UserError: if there are too few utterances, or the backbone's weights are others by now
    """
    train, dev = (rows[rows["split"] == name] for name in ("train", "dev"))
    labelled = train[train["emotion"] != ""]

    def predicted(others: pd.DataFrame, asked: pd.DataFrame, tracker: Tracker, checkpoints: Path) -> np.ndarray:
        trained = fit(others, dev, settings, optimisation, store, device, tracker, checkpoints)
        return _vad(trained, asked, store, device)

    match kind:
        case "gold":
            return labelled
        case "in_sample":
            vad = _vad(saving.load(), labelled, store, device)
            return labelled.assign(**dict(zip(VAD, vad.T, strict=True)))
        case "out_of_sample":
            vad = cross_fit(train, labelled.index, train["utterance"], parts, "cross_fit_audio", folder, predicted)
            return labelled.assign(**vad)


def _vad(trained: saving.Trained, rows: pd.DataFrame, store: Store, device: torch.device) -> np.ndarray:
    outputs = predict(trained.model, trained.settings, rows["utterance"], store, device)
    said = trained.task.scale.inverse_transform(outputs)
    return said[:, [trained.task.names.index(name) for name in VAD]]
