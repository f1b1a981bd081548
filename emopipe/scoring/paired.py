"""Is one model better than another on the same test set?

Both answer the same utterances of the same speakers, which are resampled for both together (Efron & Tibshirani, "An
Introduction to the Bootstrap", 1993, chapter 13; for systems on one test set, Koehn, "Statistical significance tests
for machine translation evaluation", EMNLP 2004). The difference d has the standard error of its resamples, computed as
in :mod:`emopipe.scoring.intervals`; the interval is d ± t · error, and p = 2 P(T > |d| / error): p is below 0.05 if
and only if the 95 % interval leaves out 0.

A model is often trained several times, from other seeds. Then d is the difference of the means over runs, and

    error² = error²(speakers) + s²(runs of A) / runs of A + s²(runs of B) / runs of B

with s² the variance of the score over the runs on the whole test set; the degrees of freedom are Satterthwaite's
(Biometrics Bulletin 2, 1946). Speakers and runs are crossed: the part of the variance in which they interact counts
on both sides, which errs on the side of caution (Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1,
2007). Of a single run of each, the answer holds for these two trained models, not for how they were trained
(Bouthillier et al., "Accounting for variance in machine learning benchmarks", MLSys 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.tables import SHOWN
from emopipe.scoring.bootstrap import REPLICATES, clusters_of, resample
from emopipe.scoring.intervals import ROUNDING, effective, standard_error
from emopipe.scoring.sufficient_statistics import (
    AVERAGES,
    classification_scores,
    classification_sizes,
    confusion_counts,
    regression_scores,
    regression_statistics,
)


class Difference(NamedTuple):
    """How much the score of A exceeds that of B; what is not defined is None, and ``note`` says why."""

    low: float | None
    high: float | None
    value: float  # a − b
    p: float | None  # two-sided, of no difference
    a: float
    b: float
    clusters: int  # speakers, and utterances of unknown speakers
    note: str = ""


def aligned(tables: Sequence[pd.DataFrame], same: Sequence[str]) -> list[pd.DataFrame]:
    """Return the tables of several models with their rows in the order of the first.

    Args:
        tables: each with a column ``utterance``
        same: columns that must not differ: the truth, the speaker

    Raises:
        UserError: where an utterance stands twice, or utterances or a column of ``same`` differ
    """
    first = tables[0].set_index("utterance")
    for number, table in enumerate(tables, start=1):
        twice = table.loc[table["utterance"].duplicated(), "utterance"]
        _refuse(twice, f"table {number}: %d utterance(s) occur more than once")
        _refuse(first.index.difference(table["utterance"]), f"%d utterance(s) of table 1 are not in table {number}")
        _refuse(table.set_index("utterance").index.difference(first.index), f"%d of table {number} are not in table 1")
    ordered = [table.set_index("utterance").loc[first.index] for table in tables]
    for number, table in enumerate(ordered, start=1):
        for column in same:
            equal = (table[column] == first[column]) | (table[column].isna() & first[column].isna())
            _refuse(first.index[~equal], f"{column} of %d utterance(s) differs between tables 1 and {number}")
    return [table.reset_index() for table in ordered]


def _refuse(utterances: Sequence[str], reason: str) -> None:
    if len(utterances):
        shown = ", ".join(list(utterances)[:SHOWN])
        raise UserError(f"{reason % len(utterances)}: {shown}; compare models on one test set and its labels")


def classification_difference(
    truth: Sequence[str],
    a: Sequence[Sequence[str]],
    b: Sequence[Sequence[str]],
    speakers: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Difference]:
    """Return the differences of ``accuracy``, ``uar``, ``macro_f1`` and ``weighted_f1`` between A and B.

    Args:
        truth: [utterances]
        a: predictions of the runs of A, each [utterances]
        b: likewise of B
        speakers: [utterances], empty where not known; None where no speaker is known
        level: share of such intervals that are to cover the truth
        replicates: how many resamples
        seed: of the resamples

    Raises:
        UserError: where there is no utterance

    >>> truth = ["a", "b"] * 20
    >>> found = classification_difference(truth, [truth], [["a", "a"] * 20])["accuracy"]
    >>> found.value, round(found.low, 2), found.p < 0.001
    (0.5, 0.34, True)
    """
    clusters, labels = (
        clusters_of(speakers, len(truth)),
        sorted({*truth, *(label for run in (*a, *b) for label in run)}),
    )
    counts = np.stack([confusion_counts(truth, run, clusters, labels) for run in (*a, *b)], axis=1)
    point, drawn = classification_scores(counts.sum(0)), classification_scores(resample(counts, replicates, seed))
    sizes = classification_sizes(counts[:, 0])
    found = {name: _difference(point[name], drawn[name], len(a), sizes[name], level) for name in AVERAGES}
    return {name: _within(difference) for name, difference in found.items()}


def regression_difference(
    truth: np.ndarray,
    a: Sequence[np.ndarray],
    b: Sequence[np.ndarray],
    speakers: Sequence[str] | None = None,
    names: Sequence[str] = DIMENSIONS,
    *,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, dict[str, Difference]]:
    """Return the differences between A and B in the shape of :func:`emopipe.scoring.regression.regression`.

    Args:
        truth: [utterances, dimensions]
        a: predictions of the runs of A, each [utterances, dimensions]
        b: likewise of B
        speakers: [utterances], empty where not known; None where no speaker is known
        names: of the dimensions
        level: share of such intervals that are to cover the truth
        replicates: how many resamples
        seed: of the resamples

    Raises:
        UserError: where there is no utterance
    """
    clusters, truth = clusters_of(speakers, len(truth)), truth.astype(np.float64)
    sums = np.stack([regression_statistics(truth, run.astype(np.float64), clusters) for run in (*a, *b)], axis=1)
    point, drawn = regression_scores(sums.sum(0)), regression_scores(resample(sums, replicates, seed))
    sizes, result = sums[:, 0, 0, 0], {}
    for score in point:
        values = np.concatenate([point[score], point[score].mean(-1, keepdims=True)], axis=-1)
        replicate = np.concatenate([drawn[score], drawn[score].mean(-1, keepdims=True)], axis=-1)
        result[score] = {
            name: _difference(values[:, i], replicate[..., i], len(a), sizes, level)
            for i, name in enumerate((*names, "mean"))
        }
    return result


def _difference(point: np.ndarray, drawn: np.ndarray, runs: int, sizes: np.ndarray, level: float) -> Difference:
    """Return the difference between the first ``runs`` columns and the others.

    Args:
        point: [runs of A and B] score of each on the whole test set
        drawn: [resamples, runs of A and B]
        runs: of A
        sizes: [clusters] how much each bears on the score
        level: share of such intervals that are to cover the truth
    """
    a, b, clusters = point[:runs], point[runs:], int((sizes > 0).sum())
    value = float(a.mean() - b.mean())
    undefined = Difference(None, None, value, None, float(a.mean()), float(b.mean()), clusters)
    if clusters < 2:
        return undefined._replace(note="one speaker or utterance says nothing of others")
    sides = (drawn[:, :runs], drawn[:, runs:])
    error = standard_error(sides[0].mean(1) - sides[1].mean(1), clusters)
    parts = [(error**2, max(1.0, effective(sizes) - 1))]
    parts += [_training(scores, side, clusters) for scores, side in zip((a, b), sides, strict=True) if len(scores) > 1]
    variance = sum(part for part, _ in parts)
    total = float(np.sqrt(variance))
    if total < ROUNDING:
        same = abs(value) < ROUNDING
        return undefined._replace(p=1.0 if same else None, note="the difference does not vary over the resamples")
    freedom = variance**2 / sum(part**2 / count for part, count in parts)
    reach = float(stdtrit(freedom, (1 + level) / 2)) * total
    p = float(2 * stdtr(freedom, -abs(value) / total))
    alone = min(len(a), len(b)) == 1 < max(len(a), len(b))
    note = "one side has a single run, whose training is taken as certain" if alone else ""
    return undefined._replace(low=value - reach, high=value + reach, p=p, note=note)


def _within(found: Difference) -> Difference:
    """Return the difference of two shares with its interval cut off where no such difference can be."""
    return found if found.low is None else found._replace(low=max(found.low, -1.0), high=min(found.high, 1.0))


def _training(point: np.ndarray, drawn: np.ndarray, clusters: int) -> tuple[float, float]:
    """Return the variance of the mean over runs that stems from the training, and its degrees of freedom.

    Runs differ on a test set by more than their training: each is lucky with other speakers. That part is in the
    resamples already, and is taken off (Cameron, Gelbach & Miller's "minus the intersection").
    """
    runs = len(point)
    luck = sum(standard_error(run, clusters) ** 2 for run in (drawn - drawn.mean(1, keepdims=True)).T)
    return max(0.0, float(point.var(ddof=1) / runs - luck / (runs * (runs - 1)))), runs - 1
