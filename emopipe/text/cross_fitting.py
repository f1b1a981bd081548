"""Valence, arousal and dominance of training utterances from words, for the forest to learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from emopipe.forest.parameters import Forest
from emopipe.io.errors import UserError
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.splits import rated, same_text
from emopipe.text.fitting import fit
from emopipe.text.prediction import predict
from emopipe.text.saving import Trained
from emopipe.training.cross_fitting import cross_fit
from emopipe.training.tracking import Tracker


def training_vad(
    rows: pd.DataFrame, trained: Trained, settings: Forest, device: torch.device, folder: Path
) -> pd.DataFrame:
    """Return the VAD of training utterances with an emotion that ``forest.vad`` names.

    Args:
        rows: the split table of the text branch
        trained: the regressor trained on its train set
        settings: the ``forest`` group
        device: where to train and predict
        folder: for checkpoints

    Returns:
        rows of the table, with the three dimensions in place of its own

    Raises:
        UserError: see :func:`unseen_vad`
    """
    labelled = rows[(rows["split"] == "train") & (rows["emotion"] != "")]
    match settings.vad:
        case "gold":
            return rated(labelled)
        case "in_sample":
            vad = predict(trained, list(labelled["transcript"]), device)
            return labelled.assign(**dict(zip(DIMENSIONS, vad.T, strict=True)))
        case "out_of_sample":
            vad = unseen_vad(rows, trained, settings.cross_fit, device, folder)
            return labelled.loc[vad.index].assign(**vad)


def unseen_vad(rows: pd.DataFrame, trained: Trained, parts: int, device: torch.device, folder: Path) -> pd.DataFrame:
    """Predict the VAD of the training utterances that have an emotion by regressors that did not learn from them.

    Where a corpus has both, VAD and emotions, the utterances that the regressor learnt from are divided into
    parts, and each part is predicted by a regressor trained in the same way on the rest. Where it learnt from
    other corpora alone it predicts itself, and what chances to have the text of a training utterance ("Yes.")
    is left out: a few rows are not worth that many trainings.

    Args:
        rows: the split table of the text branch
        trained: the regressor trained on its train set
        parts: number of regressors to train
        device: where to train and predict
        folder: for checkpoints

    Returns:
        the three dimensions, indexed by rows of the table

    Raises:
        UserError: if there are too few utterances, or the pretrained encoder is another one by now
    """
    train, dev = rows[rows["split"] == "train"], rated(rows[rows["split"] == "dev"])
    labelled = train[train["emotion"] != ""]
    text = same_text(train["transcript"])
    learnt = rated(train)
    seen = train[text.isin(text[learnt.index])]
    fresh = labelled.index.difference(seen.index, sort=False)
    vad = pd.DataFrame(np.nan, labelled.index, list(DIMENSIONS))
    if len(fresh):
        vad.loc[fresh] = predict(trained, list(labelled["transcript"][fresh]), device)
    if not labelled.index.isin(learnt.index).any():
        return vad.loc[fresh]

    def predicted(others: pd.DataFrame, asked: pd.DataFrame, tracker: Tracker, checkpoints: Path) -> np.ndarray:
        others = rated(others)
        others = others[~text[others.index].isin(text[asked.index])]
        if others.empty:
            raise UserError("forest.cross_fit: a part holds every text there is; choose more parts")
        regressor = fit(others, dev, trained.settings, device, tracker, checkpoints)
        if regressor.origin.sha256 != trained.origin.sha256:
            raise UserError(f"{trained.origin.name}: the weights changed; run `dvc repro -f finetune_text`")
        return predict(regressor, list(asked["transcript"]), device)

    known = labelled.index.intersection(seen.index, sort=False)
    vad.loc[known] = cross_fit(seen, known, text[seen.index], parts, "fit_forest", folder, predicted)
    return vad
