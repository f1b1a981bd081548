"""Fitting the random forest from valence, arousal and dominance to an emotion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier

from emopipe.forest.parameters import Forest
from emopipe.schemas.vad import BRANCHES, feature_names


def fit(vad: pd.DataFrame, emotions: Sequence[str], settings: Forest) -> RandomForestClassifier:
    """Fit the forest; it remembers the names of its inputs, and takes nothing else.

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


def branches_of(forest: RandomForestClassifier) -> list[str]:
    """Return the branches whose VAD a forest takes."""
    return [branch for branch in BRANCHES["both"] if set(feature_names(branch)) <= set(forest.feature_names_in_)]


def single_branch_forest(
    forest: RandomForestClassifier, training_rows: pd.DataFrame, branch: str
) -> RandomForestClassifier:
    """Return a forest like another one, fitted on the VAD of one branch alone.

    Args:
        forest: of one branch or of both
        training_rows: what it was fitted on, see :func:`emopipe.forest.inputs.join_branches`
        branch: text or audio
    """
    if branches_of(forest) == [branch]:
        return forest
    return clone(forest).fit(training_rows[feature_names(branch)], training_rows["emotion"].to_numpy(dtype=str))
