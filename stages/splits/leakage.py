"""The guard against leakage: what is tested on must not have been trained on under another name."""

from __future__ import annotations

import pandas as pd

from stages.contracts.manifest import SETS


def crossing(rows: pd.DataFrame, content: pd.Series) -> pd.Series:
    """Return True for every row whose content also stands in a set that is held out more.

    Args:
        rows: with column ``split``
        content: what must not cross sets (a hash, a text); empty where it is not known

    A copy in test takes the place of one in dev, and that of one in train: the test set stays whole.
    """
    rank = rows["split"].map({name: i for i, name in enumerate(SETS)})
    return (content != "") & (rank < rank.groupby(content).transform("max"))
