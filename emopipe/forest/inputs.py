"""The inputs of the forest: valence, arousal and dominance from text, from audio, or from both."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.vad import INPUT_BRANCHES, feature_names


def join_branches(branches: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the inner join of the branches' VAD on the utterance.

    Args:
        branches: by name, tables with ``utterance``, ``emotion`` (empty where not known) and the three dimensions

    Returns:
        ``utterance``, ``emotion`` and the features of each branch, of utterances with an emotion that all branches
        know, in the order of the first branch

    Raises:
        UserError: if branches give one utterance two emotions
    """
    joined: pd.DataFrame | None = None
    for branch, table in branches.items():
        names = dict(zip(DIMENSIONS, feature_names(branch), strict=True))
        own = table.loc[table["emotion"] != "", ["utterance", "emotion", *DIMENSIONS]].rename(columns=names)
        if joined is None:
            joined = own
            continue
        joined = joined.merge(own, on="utterance", suffixes=("", "_other"))
        differing = joined[joined["emotion"] != joined["emotion_other"]]
        if len(differing):
            one = differing.iloc[0]
            raise UserError(
                f"forest.inputs: both, but data.text and data.audio give {len(differing)} utterance(s) two emotions "
                f"({one['utterance']}: {one['emotion']} and {one['emotion_other']}); set their labels and merge alike"
            )
        joined = joined.drop(columns="emotion_other")
    return joined.reset_index(drop=True)


def require_two_emotions(emotions: pd.Series, inputs: str) -> None:
    """Refuse training utterances of one emotion or none, before regressors are trained for a forest on them.

    Args:
        emotions: of the utterances the forest can be fitted on
        inputs: ``forest.inputs``

    Raises:
        UserError: naming what was found
    """
    found = sorted(set(emotions))
    if len(found) < 2:
        where = " and ".join(f"data.{branch}" for branch in INPUT_BRANCHES[inputs])
        whose = "the training utterances that both branches share" if inputs == "both" else "its training utterances"
        raise UserError(
            f"{where}: the forest needs two emotions or more, but {whose} have "
            f"{len(found)} ({', '.join(found) or 'none'}); add a corpus, or look at labels and merge"
        )
