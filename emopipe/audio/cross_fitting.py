"""Valence, arousal and dominance of training utterances from audio, for the forest to be fitted on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emopipe.audio import saving
from emopipe.audio.fitting import fit
from emopipe.audio.model import Trained
from emopipe.audio.parameters import Model, Train
from emopipe.audio.prediction import predict
from emopipe.encoding.store import Store
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.training.cross_fitting import cross_fit_predict
from emopipe.training.fitting import Run
from emopipe.training.parameters import CrossFitting


def training_vad(
    rows: pd.DataFrame,
    settings: CrossFitting,
    model: Model,
    optimisation: Train,
    store: Store,
    run: Run,
) -> pd.DataFrame:
    """Return the VAD of training utterances with an emotion that ``forest.vad`` names.

    Every utterance of a regression is rated, so the final regressor was trained on all of them: out of sample, every
    one is cross-fitted, by one regressor a fold that is trained as the members of the final one are.

    Args:
        rows: the split table of the audio branch, for a regression of all three dimensions
        settings: which VAD, and the number of folds
        model: the ``model`` group
        optimisation: the ``train`` group
        store: of the rows' encodings
        run: of the trainings

    Returns:
        rows of the table, with the three dimensions in place of its own

    Raises:
        UserError: if there are too few utterances, or the backbone's weights are others by now
    """
    train, dev = (rows[rows["split"] == name] for name in ("train", "dev"))
    labelled = train[train["emotion"] != ""]
    single = model.model_copy(update={"ensemble_size": 1})

    def fit_and_predict(others: pd.DataFrame, queries: pd.DataFrame, own: Run) -> np.ndarray:
        return _vad(fit(others, dev, single, optimisation, store, own), queries, store, own)

    match settings.vad:
        case "gold":
            return labelled
        case "in_sample":
            vad = _vad(saving.load(), labelled, store, run)
            return labelled.assign(**dict(zip(DIMENSIONS, vad.T, strict=True)))
        case "out_of_sample":
            vad = cross_fit_predict(train, labelled.index, train["utterance"], settings.cross_fit, run, fit_and_predict)
            return labelled.assign(**vad)


def _vad(trained: Trained, rows: pd.DataFrame, store: Store, run: Run) -> np.ndarray:
    outputs = predict(trained.model, trained.settings, rows["utterance"], store, run.device)
    vad = trained.task.scale.inverse_transform(outputs)
    return vad[:, [trained.task.names.index(name) for name in DIMENSIONS]]
