"""Valence, arousal and dominance of training utterances, each predicted by a model that was not trained on it.

A model predicts what it was trained on better than anything new. A forest that is fitted on such predictions sees
emotions further apart than they will be at test time. So the utterances are divided into folds, and each fold is
predicted by one model that is trained in the same way on the others (cross-fitting: Chernozhukov et al.,
"Double/debiased machine learning for treatment and structural parameters", The Econometrics Journal 21, 2018; Wolpert,
"Stacked generalization", Neural Networks 5, 1992).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write
from emopipe.io.ranks import is_first
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.training.devices import barrier, side_by_side
from emopipe.training.fitting import Run
from emopipe.training.tracking import Tracker

# (training rows, rows to predict, run of the training) -> VAD of the latter, [rows, 3]
FitAndPredict = Callable[[pd.DataFrame, pd.DataFrame, Run], np.ndarray]


def cross_fit_predict(
    rows: pd.DataFrame,
    queries: pd.Index,
    units: pd.Series,
    n_folds: int,
    run: Run,
    fit_and_predict: FitAndPredict,
) -> pd.DataFrame:
    """Divide ``rows`` into folds and predict the queries, fold by fold.

    Args:
        rows: of a split table, all of them rated
        queries: index of the rows to predict; a fold without any is not trained for
        units: of each row, what must not be divided where neither speaker nor session is known
        n_folds: number of folds
        run: its folder holds the predictions of the folds that are done, too: a run that is killed goes on
        fit_and_predict: trains a model and predicts with it

    Returns:
        the three dimensions, indexed by ``queries``

    Raises:
        UserError: if there are fewer units than folds
    """
    jobs, parts = [], []
    for number, fold in enumerate(folds(rows, units, n_folds), start=1):
        own = rows.loc[queries.intersection(fold.index, sort=False)]
        if len(own):
            tracker = Tracker(f"{run.tracker.name}: fold {number} of {n_folds}")
            own_run = Run(run.device, tracker, run.checkpoints / f"fold-{number}-of-{n_folds}")
            job = partial(fit_and_predict, rows.drop(fold.index), own, own_run)
            jobs.append(partial(_once, own_run.checkpoints, job))
            parts.append(own.index)
    vad = pd.DataFrame(np.nan, queries, list(DIMENSIONS))
    for index, predicted in zip(parts, side_by_side(jobs, run.processes), strict=True):
        vad.loc[index] = predicted
    return vad


def folds(rows: pd.DataFrame, units: pd.Series, n_folds: int) -> Iterator[pd.DataFrame]:
    """Divide utterances into folds of about one size.

    A session (a dialogue) is in one fold alone where nobody speaks in two of them, as in IEMOCAP, and with it every
    speaker; else a speaker is; of unknown speakers a session; where that is not known either, a unit. Where there are
    fewer than folds of one kind, the next one is divided.

    Args:
        rows: with ``corpus``, ``speaker`` and ``session``
        units: of each row
        n_folds: number of folds

    Raises:
        UserError: if there are fewer units than folds
    """
    from sklearn.model_selection import GroupKFold  # here: it takes a second to import, and few runs come here

    sessions = (rows["corpus"] + "/" + rows["session"]).where(rows["session"] != "", units)
    speakers = rows["speaker"].where(rows["speaker"] != "", sessions)
    faithful = sessions.groupby(rows["speaker"].where(rows["speaker"] != "")).nunique().le(1).all()
    kinds = (sessions if faithful else speakers, speakers, sessions, units)
    groups = next((kind for kind in kinds if kind.nunique() >= n_folds), None)
    if groups is None:
        raise UserError(
            f"forest.cross_fit: {n_folds} folds, but only {units.nunique()} training utterance(s) that differ"
        )
    for _, fold in GroupKFold(n_folds).split(rows, groups=groups):
        yield rows.iloc[fold]


def _once(folder: Path, predict: Callable[[], np.ndarray]) -> np.ndarray:
    """Return the predictions of a fold: those that an earlier run left, or else new ones, which are kept."""
    done = folder.with_suffix(".npy")
    if done.exists():
        return np.load(done, allow_pickle=False)
    vad = predict()
    barrier()  # nobody needs the checkpoints any more
    if is_first():
        with atomic_write(done) as part, part.open("wb") as file:
            np.save(file, vad)
        shutil.rmtree(folder, ignore_errors=True)  # a fold that needed no training has none
    return vad
