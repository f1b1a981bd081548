"""How strongly does a shortcut go with the emotion, in all utterances of a corpus?

Unlike the scores of :mod:`emopipe.trust.shortcuts` these need no split, and so can be told of the speaker, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import chi2_contingency

from emopipe.scoring.regression import pearson_cc
from emopipe.trust.measures import IDENTITIES, MEASURES


class Association(NamedTuple):
    """How strongly a shortcut goes with the emotion or a dimension, from 0 to 1; None where that is not defined."""

    corpus: str  # empty: all of them
    name: str  # one of MEASURES or IDENTITIES
    target: str  # emotion, valence, ...
    measure: str  # cramers_v, epsilon_squared or r_squared, each corrected for bias
    value: float | None
    n: int  # utterances
    note: str = ""


def associations(rows: pd.DataFrame, targets: Sequence[str] = ()) -> list[Association]:
    """Return how strongly each shortcut goes with the emotion, or with dimensions: of each corpus, then of all.

    Args:
        rows: as of :func:`emopipe.trust.shortcuts.shortcuts`
        targets: dimensions; none: the emotion
    """
    parts = {str(corpus): own for corpus, own in rows.groupby("corpus", sort=True)}
    parts |= {"": rows} if len(parts) > 1 else {}
    return [
        _association(corpus, own, name, target)
        for corpus, own in parts.items()
        for target in targets or ("emotion",)
        for name in (*MEASURES, *IDENTITIES)
    ]


def cramers_v(a: Sequence[str], b: Sequence[str]) -> float:
    """Return Cramér's V of two classifications, corrected for bias: 0 of independent ones, 1 where one tells the other.

    Bergsma, "A bias-correction for Cramér's V and Tschuprow's T", Journal of the Korean Statistical Society 42, 2013.

    >>> round(cramers_v(list("aabb") * 9, list("ccdd") * 9), 9), cramers_v(list("aabb") * 9, list("cdcd") * 9)
    (1.0, 0.0)
    """
    counts = pd.crosstab(np.asarray(a, dtype=object), np.asarray(b, dtype=object)).to_numpy()
    number, sizes = counts.sum(), np.array(counts.shape)
    if number < 2 or sizes.min() < 2:
        return 0.0
    phi = chi2_contingency(counts, correction=False).statistic / number
    expected = np.prod(sizes - 1) / (number - 1)  # of independent ones
    corrected = sizes - (sizes - 1) ** 2 / (number - 1)
    room = corrected.min() - 1
    return float(min(1.0, np.sqrt(max(0.0, phi - expected) / room))) if room > 0 else 0.0


def epsilon_squared(values: np.ndarray, groups: Sequence[str]) -> float:
    """Return the share of the variance of values that their groups explain, corrected for bias, from 0 to 1.

    ε² = (SS between − (groups − 1) · MS within) / SS total; Kelley, "An unbiased correlation ratio measure", PNAS 21,
    1935. Where chance explains more than the groups do, it is 0.

    >>> epsilon_squared(np.array([1.0, 1.0, 2.0, 2.0]), list("aabb"))
    1.0
    """
    values = np.asarray(values, dtype=np.float64)
    own = pd.Series(values).groupby(np.asarray(groups, dtype=object))
    free = len(values) - own.ngroups  # degrees of freedom within the groups
    total = ((values - values.mean()) ** 2).sum() if len(values) else 0.0
    if free < 1 or own.ngroups < 2 or total == 0:
        return 0.0
    within = ((values - own.transform("mean")) ** 2).sum()
    return float(max(0.0, 1 - (within / free) * (len(values) - 1) / total))


def adjusted_r2(a: np.ndarray, b: np.ndarray) -> float:
    """Return the share of the variance of one that a line through the other explains, corrected for bias, from 0 to 1.

    1 − (1 − r²) (n − 1) / (n − 2); Ezekiel, "Methods of correlation analysis", 1930.

    >>> adjusted_r2(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0]))
    1.0
    """
    if len(a) < 3:
        return 0.0
    return max(0.0, 1 - (1 - pearson_cc(a, b) ** 2) * (len(a) - 1) / (len(a) - 2))


def _association(corpus: str, rows: pd.DataFrame, name: str, target: str) -> Association:
    of_names, of_emotions = name in IDENTITIES, target == "emotion"
    rows = rows[rows[target] != ""] if of_emotions else rows[rows[target].notna()]
    rows = rows[rows[name] != ""] if of_names else rows
    one, other = rows[name], rows[target]
    if of_names and of_emotions:
        measure, value = "cramers_v", cramers_v(one, other)
    elif of_names or of_emotions:
        values, groups = (other, one) if of_names else (one, other)
        measure, value = "epsilon_squared", epsilon_squared(values.to_numpy(), groups)
    else:
        measure, value = "r_squared", adjusted_r2(one.to_numpy(), other.to_numpy())
    constant = next((column.name for column in (one, other) if column.nunique() < 2), None)
    if constant is not None:
        return Association(corpus, name, target, measure, None, len(rows), f"no two values of {constant}")
    return Association(corpus, name, target, measure, value, len(rows))
