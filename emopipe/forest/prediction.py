"""The forest's predictions of the test set, beside those of its baselines; and what each input is worth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import make_scorer

from emopipe.forest.fitting import branches_of, single_branch_forest
from emopipe.forest.inputs import join_branches
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import METADATA, TRAINED, emotion_table, predicted_vad
from emopipe.schemas.vad import as_features
from emopipe.scoring.classification import unweighted_average_recall

SHUFFLES = 20  # of each input


def held_out_inputs(
    forest: RandomForestClassifier, vad: pd.DataFrame, splits: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Return the test utterances with an emotion that all branches of a forest hold out, and its inputs for them.

    Args:
        forest: of one branch or of both
        vad: table of predicted dimensions
        splits: split table of each branch

    Returns:
        ``utterance``, ``emotion``, the inputs, and ``METADATA``
    """
    branches = branches_of(forest)
    tables = {
        branch: predicted_vad(vad, branch).merge(splits[branch][["utterance", "emotion"]], on="utterance")
        for branch in branches
    }
    return join_branches(tables).merge(splits[branches[0]][["utterance", *METADATA]], on="utterance")


def predict(
    forest: RandomForestClassifier,
    inputs: pd.DataFrame,
    training: pd.DataFrame,
    vad: pd.DataFrame,
    zero_shot: pd.DataFrame | None,
) -> pd.DataFrame:
    """Return the rows of the forest and of its baselines in the table of emotions.

    Beside a forest of both branches stand forests of one, fitted on the same utterances. Where text is an input, the
    zero-shot baseline is a forest like it, fitted on zero-shot VAD of text and given that of the test utterances. There
    is none of audio: no network there gives VAD before it is trained to.

    Args:
        forest: the trained one
        inputs: of the test utterances, see :func:`held_out_inputs`
        training: inputs and ``emotion`` of its training utterances
        vad: table of predicted dimensions
        zero_shot: zero-shot VAD and ``emotion`` of training utterances; None where the forest was fitted on VAD as
            rated, so that the zero-shot baseline is fitted on the same
    """
    branches = branches_of(forest)
    models = {TRAINED: (forest, inputs)}
    if len(branches) > 1:
        models |= {f"{branch}_only": (single_branch_forest(forest, training, branch), inputs) for branch in branches}
    if "text" in branches:
        if zero_shot is None:
            baseline = single_branch_forest(forest, training, "text")
        else:
            emotions = zero_shot["emotion"].to_numpy(dtype=str)
            baseline = clone(forest).fit(as_features(_dimensions(zero_shot), "text"), emotions)
        own = predicted_vad(vad, "text", "zero_shot").set_index("utterance").loc[inputs["utterance"]]
        models["zero_shot"] = baseline, as_features(_dimensions(own), "text")
    return pd.concat([_rows(inputs, model, *given) for model, given in models.items()], ignore_index=True)


def _dimensions(table: pd.DataFrame) -> np.ndarray:
    return table[list(DIMENSIONS)].to_numpy()


def _rows(utterances: pd.DataFrame, model: str, forest: RandomForestClassifier, inputs: pd.DataFrame) -> pd.DataFrame:
    given = inputs[list(forest.feature_names_in_)]
    chances = forest.predict_proba(given)
    return emotion_table(utterances, "forest", model, forest.predict(given), chances, forest.classes_)


def importance(forest: RandomForestClassifier, inputs: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return by how much UAR falls when the values of an input are shuffled among the utterances.

    Breiman, "Random forests", Machine Learning 45, 2001, section 10, on utterances that were not trained on. Unlike
    how often an input is split on, this does not count what was memorised. Inputs that say the same share their
    importance: the valence of text may be worth little where the valence of audio is known.

    Args:
        forest: of some inputs
        inputs: these, and ``emotion``

    Returns:
        of each input the ``mean`` and standard deviation, ``std``, over shuffles
    """
    found = permutation_importance(
        forest,
        inputs[list(forest.feature_names_in_)],
        inputs["emotion"].to_numpy(dtype=str),
        scoring=make_scorer(unweighted_average_recall),
        n_repeats=SHUFFLES,
        random_state=0,
    )
    columns = zip(forest.feature_names_in_, found.importances_mean, found.importances_std, strict=True)
    return {str(name): {"mean": float(mean), "std": float(std)} for name, mean, std in columns}
