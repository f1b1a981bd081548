"""What the forest is given: valence, arousal and dominance from words, from sound, or from both."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.vad import feature_names


def join_branches(branches: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return what every branch says of the utterances that all of them know, with an emotion.

    Args:
        branches: by name, tables with ``utterance``, ``emotion`` (empty where not known) and the three dimensions

    Returns:
        ``utterance``, ``emotion`` and the features of each branch, in the order of the first branch

    Raises:
        UserError: if branches give one utterance two emotions
    """
    found: pd.DataFrame | None = None
    for branch, table in branches.items():
        named = dict(zip(DIMENSIONS, feature_names(branch), strict=True))
        own = table.loc[table["emotion"] != "", ["utterance", "emotion", *DIMENSIONS]].rename(columns=named)
        if found is None:
            found = own
            continue
        found = found.merge(own, on="utterance", suffixes=("", "_other"))
        astray = found[found["emotion"] != found["emotion_other"]]
        if len(astray):
            one = astray.iloc[0]
            raise UserError(
                f"forest.inputs: both, but data.text and data.audio give {len(astray)} utterance(s) two emotions "
                f"({one['utterance']}: {one['emotion']} and {one['emotion_other']}); set their labels and merge alike"
            )
        found = found.drop(columns="emotion_other")
    return found.reset_index(drop=True)
