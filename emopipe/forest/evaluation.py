"""What the forest makes of its inputs on the test set, and what each input is worth to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import make_scorer

from emopipe.forest.fitting import alone, branches_of
from emopipe.forest.inputs import meet
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import FOREST_COLUMNS, PREDICTED, PROBABILITY, WHO, ZERO_SHOT, Evaluation
from emopipe.schemas.vad import features
from emopipe.scoring.baselines import majority_class
from emopipe.scoring.classification import classification, unweighted_average_recall
from emopipe.scoring.statistics import classification_details, limits

SHUFFLES = 20  # of each input
ALONE = ("text_alone", "audio_alone")


def evaluate(
    forest: RandomForestClassifier | None, learnt: pd.DataFrame, read: pd.DataFrame, heard: pd.DataFrame
) -> Evaluation:
    """Score the test utterances that all branches of the forest hold out.

    A forest from words alone is scored with the text branch; here it is asked for its inputs only. One of both stands
    beside forests from words and from sound that learnt from the same utterances. Its zero-shot baseline is that of the
    text branch, from words alone: no network tells VAD from sound before it has been trained to.

    Args:
        forest: from VAD to emotion; None where no utterance has an emotion
        learnt: what it learnt from
        read: predictions of the text branch
        heard: predictions of the audio branch, with ``emotion``
    """
    none = pd.DataFrame(columns=list(FOREST_COLUMNS))
    if forest is None:
        return Evaluation({"utterances": 0}, {}, none)
    branches = branches_of(forest)
    said = {"text": read, "audio": heard}
    given = meet({branch: _predicted(said[branch]) for branch in branches})
    if given.empty:
        return Evaluation({"utterances": 0}, {}, none)
    worth = importance(forest, given)
    scores: dict[str, Any] = {"importance": {name: found["mean"] for name, found in worth.items()}}
    if branches == ["text"]:
        return Evaluation(scores, {"importance": worth}, none)

    table = _answers(forest, learnt, given, said)
    others = [name for name in (*ALONE, "zero_shot", "majority") if (table[name] != "").all()]
    details = classification_details(table, {name: table[name] for name in others})
    truth = table["truth"]
    scores = {
        "fine_tuned": classification(truth, table["prediction"]),
        **{name: classification(truth, table[name]) for name in others},
        "majority": {"accuracy": classification(truth, table["majority"])["accuracy"]},
        **scores,
        "utterances": len(table),
        "interval": limits(details, "uar", "wa"),
    }
    return Evaluation(scores, {"importance": worth, "inputs": branches, **details}, table)


def _answers(
    forest: RandomForestClassifier, learnt: pd.DataFrame, given: pd.DataFrame, said: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Return ``FOREST_COLUMNS``, empty where there is no such model, and a column ``p_EMOTION`` per emotion."""
    branches = branches_of(forest)
    who = said[branches[0]].set_index("utterance").loc[given["utterance"], list(WHO)].reset_index()
    table = who.assign(truth=given["emotion"], prediction=forest.predict(given[features(*branches)]))
    table = table.assign(**dict.fromkeys((*ALONE, "zero_shot"), ""), majority=majority_class(learnt["emotion"]))
    if len(branches) > 1:
        for branch in branches:
            table[f"{branch}_alone"] = alone(forest, learnt, branch).predict(given[features(branch)])
        table["zero_shot"] = table["utterance"].map(said["text"].set_index("utterance")[f"emotion{ZERO_SHOT}"])
    chances = forest.predict_proba(given[features(*branches)])
    table[[f"{PROBABILITY}{emotion}" for emotion in forest.classes_]] = chances
    return table


def importance(forest: RandomForestClassifier, given: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Return by how much UAR falls when the values of an input are shuffled among the utterances.

    Breiman, "Random forests", Machine Learning 45, 2001, section 10, on utterances that were not trained on. Unlike
    how often an input is split on, this does not count what was learnt by heart. Inputs that say the same share their
    importance: the valence of words may be worth little where the valence of sound is known.

    Args:
        forest: of some inputs
        given: these, and ``emotion``

    Returns:
        of each input the ``mean`` and standard deviation, ``std``, over shuffles
    """
    found = permutation_importance(
        forest,
        given[list(forest.feature_names_in_)],
        given["emotion"].to_numpy(dtype=str),
        scoring=make_scorer(unweighted_average_recall),
        n_repeats=SHUFFLES,
        random_state=0,
    )
    columns = zip(forest.feature_names_in_, found.importances_mean, found.importances_std, strict=True)
    return {str(name): {"mean": float(mean), "std": float(std)} for name, mean, std in columns}


def _predicted(table: pd.DataFrame) -> pd.DataFrame:
    """Return a branch's predictions as the table that :func:`meet` takes."""
    vad = np.asarray(table[[f"{name}{PREDICTED}" for name in DIMENSIONS]], dtype=np.float64)
    return table[["utterance", "emotion"]].assign(**dict(zip(DIMENSIONS, vad.T, strict=True)))
