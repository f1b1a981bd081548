"""Growing the random forest from valence, arousal and dominance to an emotion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier

from emopipe.forest.parameters import Forest
from emopipe.io.errors import UserError
from emopipe.schemas.vad import SOURCES, feature_names


def fit(vad: pd.DataFrame, emotions: Sequence[str], settings: Forest) -> RandomForestClassifier:
    """Grow the forest; it remembers the names of what it was given, and takes nothing else.

    Args:
        vad: features of one branch or of both, on the 1..5 scale, [utterances, 3 or 6]
        emotions: one per utterance
        settings: the ``forest`` group
    """
    forest = RandomForestClassifier(
        n_estimators=settings.trees,
        max_depth=settings.max_depth,
        min_samples_leaf=settings.min_leaf,
        class_weight=None if settings.class_weight == "none" else settings.class_weight,
        random_state=settings.seed,
    )
    return forest.fit(vad, np.array(emotions, dtype=str))


def require_two(emotions: Sequence[str], inputs: str) -> None:
    """Refuse training utterances that leave nothing to tell apart.

    Args:
        emotions: of those the forest can learn from
        inputs: text, audio or both

    Raises:
        UserError: naming what was found
    """
    found = sorted(set(emotions))
    if len(found) < 2:
        where = " and ".join(f"data.{branch}" for branch in SOURCES[inputs])
        whose = "the training utterances that both branches know" if inputs == "both" else "its training utterances"
        raise UserError(
            f"{where}: the forest needs two emotions or more, but {whose} have "
            f"{len(found)} ({', '.join(found) or 'none'}); add a corpus, or look at labels and merge"
        )


def branches_of(forest: RandomForestClassifier) -> list[str]:
    """Return the branches whose VAD a forest is given."""
    return [branch for branch in SOURCES["both"] if set(feature_names(branch)) <= set(forest.feature_names_in_)]


def single_branch_forest(
    forest: RandomForestClassifier | None, learnt: pd.DataFrame, branch: str
) -> RandomForestClassifier | None:
    """Return a forest that knows one branch: this one, or one like it, grown on the same utterances.

    Args:
        forest: of one branch or of both
        learnt: what it learnt from
        branch: text or audio

    Returns:
        None where there is no forest, or it does not know the branch
    """
    if forest is None or branch not in branches_of(forest):
        return None
    if branches_of(forest) == [branch]:
        return forest
    return clone(forest).fit(learnt[feature_names(branch)], learnt["emotion"].to_numpy(dtype=str))
