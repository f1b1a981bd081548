"""Valence, arousal and dominance for training utterances, each predicted by a regressor that did not learn from it.

A regressor predicts what it was trained on better than anything new. A forest that learns from such
predictions sees emotions further apart than they will be at test time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import GroupKFold

from stages.contracts.errors import UserError
from stages.contracts.manifest import DIMENSIONS
from stages.contracts.splits import same_text
from stages.text.fitting import fit, predict, rated
from stages.text.saving import Trained
from stages.training.tracking import Tracker


def unseen_vad(
    rows: pd.DataFrame, trained: Trained, parts: int, device: torch.device, checkpoints: Path
) -> pd.DataFrame:
    """Predict the VAD of the training utterances that have an emotion.

    Where a corpus has both, VAD and emotions, the utterances that the regressor learnt from are divided into
    parts, and each part is predicted by a regressor trained in the same way on the rest. Where it learnt from
    other corpora alone it predicts itself, and what chances to have the text of a training utterance ("Yes.")
    is left out: a few rows are not worth that many trainings.

    Args:
        rows: the split table of the text branch
        trained: the regressor trained on its train set
        parts: number of regressors to train
        device: where to train and predict
        checkpoints: folder for those of every training

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
    for number, part in enumerate(divide(seen, parts), start=1):
        wanted = labelled.index.intersection(part.index, sort=False)
        if wanted.empty:
            continue
        others = rated(seen.drop(part.index))
        others = others[~text[others.index].isin(text[part.index])]
        if others.empty:
            raise UserError("forest.cross_fit: a part holds every text there is; choose more parts")
        tracker = Tracker(f"fit_forest: part {number} of {parts}")
        regressor = fit(others, dev, trained.settings, device, tracker, checkpoints / f"part-{number}")
        if regressor.origin.sha256 != trained.origin.sha256:
            raise UserError(f"{trained.origin.name}: the weights changed; run `dvc repro -f finetune_text`")
        vad.loc[wanted] = predict(regressor, list(labelled["transcript"][wanted]), device)
    return vad


def divide(rows: pd.DataFrame, parts: int) -> Iterator[pd.DataFrame]:
    """Divide utterances into parts of about one size; a speaker, or an unknown speaker's text, is in one alone.

    Where there are fewer speakers than parts, texts are divided instead.

    Raises:
        UserError: if there are fewer texts than parts
    """
    texts = same_text(rows["transcript"])
    groups = rows["speaker"].where(rows["speaker"] != "", texts)
    if groups.nunique() < parts:
        groups = texts
    if groups.nunique() < parts:
        raise UserError(f"forest.cross_fit: {parts} parts, but only {groups.nunique()} different training text(s)")
    for _, part in GroupKFold(parts).split(rows, groups=groups):
        yield rows.iloc[part]
