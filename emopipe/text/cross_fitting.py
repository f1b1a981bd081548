"""Valence, arousal and dominance of training utterances from text, for the forest to be fitted on."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.splits import rated, same_text
from emopipe.text.fitting import fit
from emopipe.text.prediction import predict
from emopipe.text.saving import Trained
from emopipe.training.cross_fitting import cross_fit_predict
from emopipe.training.fitting import Run
from emopipe.training.parameters import CrossFitting


def training_vad(rows: pd.DataFrame, trained: Trained, settings: CrossFitting, run: Run) -> pd.DataFrame:
    """Return the VAD of training utterances with an emotion that ``forest.vad`` names.

    Args:
        rows: the split table of the text branch
        trained: the regressor trained on its train set
        settings: which VAD, and the number of folds
        run: of the trainings

    Returns:
        rows of the table, with the three dimensions in place of its own

    Raises:
        UserError: see :func:`out_of_sample_vad`
    """
    labelled = rows[(rows["split"] == "train") & (rows["emotion"] != "")]
    match settings.vad:
        case "gold":
            return rated(labelled)
        case "in_sample":
            vad = predict(trained, list(labelled["transcript"]), run.device)
            return labelled.assign(**dict(zip(DIMENSIONS, vad.T, strict=True)))
        case "out_of_sample":
            vad = out_of_sample_vad(rows, trained, settings.cross_fit, run)
            return labelled.loc[vad.index].assign(**vad)


def out_of_sample_vad(rows: pd.DataFrame, trained: Trained, n_folds: int, run: Run) -> pd.DataFrame:
    """Predict the VAD of the training utterances that have an emotion by regressors that were not trained on them.

    Where a corpus has both, VAD and emotions, the utterances that the regressor was trained on are divided into
    folds, and each fold is predicted by one regressor that is trained on the rest, as the members of the final one are.
    Where it was trained on other corpora alone it predicts itself, and what chances to have the text of a training
    utterance ("Yes.") is left out: a few rows are not worth that many trainings.

    Args:
        rows: the split table of the text branch
        trained: the regressor trained on its train set
        n_folds: number of regressors to train
        run: of the trainings

    Returns:
        the three dimensions, indexed by rows of the table

    Raises:
        UserError: if there are too few utterances, or the pretrained encoder is another one by now
    """
    train, dev = rows[rows["split"] == "train"], rated(rows[rows["split"] == "dev"])
    labelled = train[train["emotion"] != ""]
    text = same_text(train["transcript"])
    training_rows = rated(train)
    seen = train[text.isin(text[training_rows.index])]
    fresh = labelled.index.difference(seen.index, sort=False)
    vad = pd.DataFrame(np.nan, labelled.index, list(DIMENSIONS))
    if len(fresh):
        vad.loc[fresh] = predict(trained, list(labelled["transcript"][fresh]), run.device)
    if not labelled.index.isin(training_rows.index).any():
        return vad.loc[fresh]
    single = trained.settings.model_copy(update={"ensemble_size": 1})

    def fit_and_predict(others: pd.DataFrame, queries: pd.DataFrame, own: Run) -> np.ndarray:
        others = rated(others)
        others = others[~text[others.index].isin(text[queries.index])]
        if others.empty:
            raise UserError("forest.cross_fit: a fold holds every text there is; choose more folds")
        regressor = fit(others, dev, single, own)
        if regressor.origin.sha256 != trained.origin.sha256:
            raise UserError(f"{trained.origin.name}: the weights changed; run `dvc repro -f finetune_text`")
        return predict(regressor, list(queries["transcript"]), own.device)

    known = labelled.index.intersection(seen.index, sort=False)
    vad.loc[known] = cross_fit_predict(seen, known, text[seen.index], n_folds, run, fit_and_predict)
    return vad
