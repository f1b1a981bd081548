"""Valence, arousal and dominance of training utterances, each predicted by a model that did not learn from it.

A model predicts what it was trained on better than anything new. A forest that learns from such predictions sees
emotions further apart than they will be at test time. So the utterances are divided into parts, and each part is
predicted by a model that is trained in the same way on the others (cross-fitting: Chernozhukov et al., "Double/debiased
machine learning for treatment and structural parameters", The Econometrics Journal 21, 2018; Wolpert, "Stacked
generalization", Neural Networks 5, 1992).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold

from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.training.processes import barrier, is_first
from emopipe.training.tracking import Tracker

# (rows to learn from, rows to predict, keeper of the history, folder for checkpoints) -> VAD of the latter, [rows, 3]
Predict = Callable[[pd.DataFrame, pd.DataFrame, Tracker, Path], np.ndarray]


def cross_fit(
    rows: pd.DataFrame, asked: pd.Index, units: pd.Series, parts: int, stage: str, folder: Path, predict: Predict
) -> pd.DataFrame:
    """Divide ``rows`` and predict those that are asked for, part by part.

    Args:
        rows: of a split table, that there is VAD of
        asked: index of some of them; a part without any is not trained for
        units: of each row, what must not be divided where neither speaker nor session is known
        parts: their number
        stage: its name
        folder: for checkpoints, and for the predictions of the parts that are done: a run that is killed goes on
        predict: trains a model and predicts with it

    Returns:
        the three dimensions, indexed by ``asked``

    Raises:
        UserError: if there are fewer units than parts
    """
    vad = pd.DataFrame(np.nan, asked, list(DIMENSIONS))
    for number, part in enumerate(divide(rows, units, parts), start=1):
        own = rows.loc[asked.intersection(part.index, sort=False)]
        if len(own):
            tracker = Tracker(f"{stage}: part {number} of {parts}")
            made = partial(predict, rows.drop(part.index), own, tracker)
            vad.loc[own.index] = _once(folder / f"part-{number}-of-{parts}", made)
    return vad


def divide(rows: pd.DataFrame, units: pd.Series, parts: int) -> Iterator[pd.DataFrame]:
    """Divide utterances into parts of about one size.

    A session (a dialogue) is in one part alone where nobody speaks in two of them, as in IEMOCAP, and with it every
    speaker; else a speaker is; of unknown speakers a session; where that is not known either, a unit. Where there are
    fewer than parts of one kind, the next one is divided.

    Args:
        rows: with ``corpus``, ``speaker`` and ``session``
        units: of each row
        parts: their number

    Raises:
        UserError: if there are fewer units than parts
    """
    sessions = (rows["corpus"] + "/" + rows["session"]).where(rows["session"] != "", units)
    speakers = rows["speaker"].where(rows["speaker"] != "", sessions)
    faithful = sessions.groupby(rows["speaker"].where(rows["speaker"] != "")).nunique().le(1).all()
    kinds = (sessions if faithful else speakers, speakers, sessions, units)
    groups = next((kind for kind in kinds if kind.nunique() >= parts), None)
    if groups is None:
        raise UserError(
            f"forest.cross_fit: {parts} parts, but only {units.nunique()} training utterance(s) that differ"
        )
    for _, part in GroupKFold(parts).split(rows, groups=groups):
        yield rows.iloc[part]


def _once(folder: Path, predict: Callable[[Path], np.ndarray]) -> np.ndarray:
    """Return the predictions of a part: those that a run before this one left, or else made now and left."""
    done = folder.with_suffix(".npy")
    if done.exists():
        return np.load(done, allow_pickle=False)
    vad = predict(folder)
    barrier()  # nobody needs the checkpoints any more
    if is_first():
        with atomic_write(done) as part, part.open("wb") as file:
            np.save(file, vad)
        shutil.rmtree(folder, ignore_errors=True)  # a part that needed no training has none
    return vad
