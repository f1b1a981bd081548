"""How far two sets of answers to the same inputs agree, and whether that is enough.

What is tolerated:

- of a float32 file, no more than 1e-4 of a probability, or of the width of the scale of ratings, in any answer. Of a
  thousand answers one may differ by a hundredth: a value of a layer that lies between two numbers of float16 is rounded
  to the one or to the other, according to its last bit;
- of others, and where the backbone computes in bfloat16, one point of UAR, or of the mean CCC of the dimensions; or
  one label, which on a small test set makes more than a point, if probabilities differ by a hundredth on average at
  most. Where the truth is not known, probabilities or ratings may differ by a hundredth of the width of their scale on
  average.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from emopipe.scoring.classification import unweighted_average_recall
from emopipe.scoring.regression import means

CLOSE = 1e-4  # of a probability, or of the width of the scale
OUTLIERS = 1000  # answers of which one may differ by more
POINT = 0.01
WIDTH = 4.0  # of the scale from 1 to 5; that of probabilities is 1


@dataclass(frozen=True)
class Agreement:
    """The answers before and after, compared."""

    answers: int
    largest_difference: float  # of a probability, or of a rating
    mean_difference: float
    differ_by_more: int  # answers in which some number differs by more than is tolerated of a float32 file
    changed_labels: int | None  # None: there are none
    score: str  # uar or ccc
    before: float | None  # None: the truth is not known
    after: float | None

    def facts(self) -> dict[str, Any]:
        """Return plain values, the scores under their name."""
        found = asdict(self)
        name, before, after = (found.pop(key) for key in ("score", "before", "after"))
        return found | {name: None if before is None else {"emopipe": before, "exported": after}}

    def __str__(self) -> str:
        kind = "a rating" if self.changed_labels is None else "a probability"
        parts = [f"the largest difference of {kind} is {self.largest_difference:.2g}"]
        if self.changed_labels is not None:
            parts.append(f"{self.changed_labels} of {self.answers} labels are others")
        if self.before is not None:
            parts.append(f"{self.score.upper()} is {self.after:.4f}, was {self.before:.4f}")
        return ", ".join(parts)

    def is_enough(self, exact: bool) -> bool:
        """Return whether this is tolerated.

        Args:
            exact: of a float32 file
        """
        if not math.isfinite(self.largest_difference):
            return False
        width = WIDTH if self.changed_labels is None else 1.0
        if exact:
            return self.differ_by_more <= self.answers // OUTLIERS and self.largest_difference <= POINT * width
        if self.before is not None:
            one_label = self.changed_labels == 1 and self.mean_difference <= POINT * width
            return one_label or round(abs(self.after - self.before), 9) <= POINT
        return self.mean_difference <= POINT * width


def of_probabilities(
    before: np.ndarray, after: np.ndarray, labels: Sequence[str], truth: pd.DataFrame | None
) -> Agreement:
    """Compare probabilities.

    Args:
        before: [inputs, labels]
        after: likewise
        labels: in the order of the columns
        truth: a row for every input, with ``emotion``; None: not known
    """
    names = np.array(labels)
    said, says = names[before.argmax(1)], names[after.argmax(1)]
    known = np.zeros(len(said), bool) if truth is None else truth["emotion"].isin(labels).to_numpy()
    scores = [None, None]
    if known.any():
        right = truth["emotion"].to_numpy()[known]
        scores = [unweighted_average_recall(right, answers[known]) for answers in (said, says)]
    return Agreement(*_differences(before, after, CLOSE), int((said != says).sum()), "uar", *scores)


def of_ratings(before: np.ndarray, after: np.ndarray, targets: Sequence[str], truth: pd.DataFrame | None) -> Agreement:
    """Compare ratings from 1 to 5.

    Args:
        before: [inputs, targets]
        after: likewise
        targets: in the order of the columns
        truth: a row for every input, with the targets; None: not known
    """
    known = np.zeros(len(before), bool) if truth is None else truth[list(targets)].notna().all(axis=1).to_numpy()
    scores = [None, None]
    if known.any():
        right = truth[list(targets)].to_numpy(np.float64)[known]
        scores = [means(right, answers[known], targets)["ccc"] for answers in (before, after)]
    return Agreement(*_differences(before, after, CLOSE * WIDTH), None, "ccc", *scores)


def _differences(before: np.ndarray, after: np.ndarray, tolerated: float) -> tuple[int, float, float, int]:
    differences = np.abs(after - before)
    beyond = ~(differences <= tolerated)  # what is no number is beyond
    return len(before), float(differences.max()), float(differences.mean()), int(beyond.any(axis=1).sum())
