"""What any model has to beat: one answer for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from emopipe.schemas.predictions import MAJORITY, MEAN, PROBABILITY, TRAINED


def majority_class(training: Sequence[str]) -> str:
    """Return the most frequent class; of equals the first in the alphabet.

    >>> majority_class(["b", "a", "b", "a"])
    'a'
    """
    return pd.Series(training).mode()[0]


def majority_baseline(trained: pd.DataFrame, training: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions of the most frequent emotion of the training set.

    Args:
        trained: rows of the trained model in the table of emotions
        training: its training utterances, with ``emotion``
    """
    answers = trained.drop(columns=[name for name in trained if name.startswith(PROBABILITY)])
    return answers.assign(model=MAJORITY, prediction=majority_class(training["emotion"]))


def mean_baseline(trained: pd.DataFrame, training: pd.DataFrame) -> pd.DataFrame:
    """Return the predictions of the mean of the training set, of each dimension.

    Args:
        trained: rows of the trained model in the table of dimensions
        training: its training utterances, a column per dimension; those that are not rated are left out

    >>> trained = pd.DataFrame({"dimension": ["valence", "arousal"], "prediction": [3.5, 2.5]})
    >>> training = pd.DataFrame({"valence": [1.0, 2.0], "arousal": [4.0, 4.0], "dominance": [3.0, 3.0]})
    >>> mean_baseline(trained, training)["prediction"].tolist()
    [1.5, 4.0]
    """
    means = training[list(trained["dimension"].unique())].dropna().mean()
    return trained.assign(model=MEAN, prediction=trained["dimension"].map(means))


BASELINES = {"emotion": majority_baseline, "vad": mean_baseline}


def with_baselines(
    predicted: Mapping[str, pd.DataFrame], training: Mapping[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Return tables of predictions with the rows of the baselines behind those of the models.

    Args:
        predicted: by target, ``emotion`` and ``vad``
        training: the training utterances of each branch
    """
    return {
        target: pd.concat(
            [table]
            + [
                BASELINES[target](trained, training[branch])
                for branch, trained in table[table["model"] == TRAINED].groupby("branch", sort=False)
            ],
            ignore_index=True,
        )
        for target, table in predicted.items()
    }
