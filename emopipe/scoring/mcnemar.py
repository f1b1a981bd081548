"""McNemar's test: does one classifier answer more utterances right than another?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

FEW = 25  # discordant utterances below which the exact test is taken


class McNemar(NamedTuple):
    """How many utterances only one of the two answered right, and the two-sided p of no difference."""

    only_a: int
    only_b: int
    p: float
    method: str  # exact or mid-p


def mcnemar(right_a: np.ndarray, right_b: np.ndarray) -> McNemar:
    """Compare the accuracies of two classifiers on the same utterances.

    Of the n utterances that only one answered right, A has k. Without a difference k is binomial (n, ½); the exact
    test doubles its smaller tail, P(K ≤ min(k, n − k)), and mid-p takes half of P(K = k) off each tail. The exact test
    is taken below 25 such utterances, where its guarantee matters most; above, mid-p, which is less conservative
    (Fagerland, Lydersen & Laake, "The McNemar test for binary matched-pairs data: mid-p and asymptotic are better than
    exact conditional", BMC Medical Research Methodology 13, 2013).

    Utterances are taken to be independent. Those of one speaker are not: where speakers are known, trust
    :func:`emopipe.scoring.paired.classification_difference` more.

    McNemar, "Note on the sampling error of the difference between correlated proportions or percentages",
    Psychometrika 12, 1947; for classifiers, Dietterich, Neural Computation 10, 1998.

    Args:
        right_a: [utterances] whether A answered each right
        right_b: likewise of B

    >>> mcnemar(np.array([True] * 9 + [False]), np.array([False] * 8 + [True] * 2))
    McNemar(only_a=8, only_b=1, p=0.0390625, method='exact')
    """
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    fewer, total = min(only_a, only_b), only_a + only_b
    twice = 2 * float(stats.binom.cdf(fewer, total, 0.5))
    if total < FEW:
        return McNemar(only_a, only_b, min(1.0, twice), "exact")
    return McNemar(only_a, only_b, min(1.0, twice - float(stats.binom.pmf(fewer, total, 0.5))), "mid-p")
