"""What any model has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from stages.scoring.classification import classification


def majority_accuracy(training: Sequence[str], truth: Sequence[str]) -> float:
    """Return the accuracy of always answering with the most frequent class of the training set.

    >>> majority_accuracy(["a", "b", "b"], ["a", "a", "b"])
    0.3333333333333333
    """
    answer = pd.Series(training).mode()[0]  # of equals the first in the alphabet
    return classification(truth, [answer] * len(truth))["accuracy"]
