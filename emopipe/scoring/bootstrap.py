"""Intervals of scores by the cluster bootstrap.

Utterances of one speaker resemble each other: whole speakers are resampled, with replacement (Field & Welsh,
"Bootstrapping clustered data", JRSS B 69, 2007). An utterance whose speaker is not known is a cluster of its own. How
the resamples become an interval, and how often it covers the truth, says :mod:`emopipe.scoring.intervals`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.scoring.intervals import SCALES, Interval, interval
from emopipe.scoring.sufficient_statistics import (
    AVERAGES,
    classification_scores,
    classification_sizes,
    confusion_counts,
    regression_scores,
    regression_statistics,
    unseen_variance,
)

REPLICATES = 2000
CELLS = 2**22  # draws held in memory at a time


def clusters_of(speakers: Sequence[str] | None, utterances: int) -> np.ndarray:
    """Return the number of the cluster of each utterance, from 0: [utterances].

    >>> clusters_of(["s/1", "", "s/1", ""], 4).tolist()
    [0, 1, 0, 2]

    Raises:
        UserError: where there is no utterance
    """
    if utterances == 0:
        raise UserError("no utterance to score: the test set is empty")
    if speakers is None:
        return np.arange(utterances)
    names = pd.Series(list(speakers), dtype=object)
    unknown = names.isna() | (names == "")
    return pd.factorize(names.mask(unknown, pd.Series(range(utterances))))[0]


def resample(sums: np.ndarray, replicates: int = REPLICATES, seed: int = 0) -> np.ndarray:
    """Return the sums of bootstrap resamples of the clusters: [replicates, ...].

    Clusters with equal sums are added up as one: many utterances are few cells of a confusion matrix.

    Args:
        sums: [clusters, ...]
        replicates: how many resamples
        seed: of the draws
    """
    flat = sums.reshape(len(sums), -1)
    distinct, kind = np.unique(flat, axis=0, return_inverse=True)
    generator, step, totals = np.random.default_rng(seed), max(1, CELLS // len(flat)), []
    for start in range(0, replicates, step):
        rows = min(step, replicates - start)
        drawn = kind.ravel()[generator.integers(len(flat), size=(rows, len(flat)))]
        cells = drawn + len(distinct) * np.arange(rows)[:, None]
        times = np.bincount(cells.ravel(), minlength=rows * len(distinct)).reshape(rows, -1)
        totals.append(times @ distinct)
    return np.concatenate(totals).reshape(replicates, *sums.shape[1:])


def classification_intervals(
    truth: Sequence[str],
    prediction: Sequence[str],
    speakers: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return the intervals of ``accuracy``, ``uar``, ``macro_f1``, ``weighted_f1`` and of each ``recall.CLASS``.

    A class that a resample happens to lack is left out of its UAR, as in :mod:`emopipe.scoring.classification`. A class
    whose utterances were all answered right (or all wrong) shows no variance in any resample; UAR is given it.

    Args:
        truth: [utterances]
        prediction: likewise
        speakers: likewise, empty where not known; None where no speaker is known
        level: share of such intervals that are to cover the truth
        replicates: how many resamples
        seed: of the resamples

    Raises:
        UserError: where there is no utterance

    >>> scores = classification_intervals(["a", "b"] * 50, ["a", "b"] * 40 + ["b", "b"] * 10)
    >>> [round(scores["accuracy"][i], 2) for i in range(3)]
    [0.82, 0.95, 0.9]
    """
    labels = sorted({*truth, *prediction})
    counts = confusion_counts(truth, prediction, clusters_of(speakers, len(truth)), labels)
    point = classification_scores(counts.sum(0))
    drawn = classification_scores(resample(counts, replicates, seed))
    sizes = classification_sizes(counts)
    result = {
        name: interval(float(point[name]), drawn[name], sizes[name], "share", level, unseen)
        for name, unseen in zip(AVERAGES, (0.0, unseen_variance(counts.sum(0)), 0.0, 0.0), strict=True)
    }
    known = (sizes["recall"] > 0).sum(0)  # clusters in which each class occurs
    lone = [label for label, clusters in zip(labels, known, strict=True) if clusters == 1]
    if lone and result["uar"].low is not None:
        note = f"how much these classes vary is not known, each has one speaker or utterance: {', '.join(lone)}"
        result["uar"] = result["uar"]._replace(note=note)
    for i in np.flatnonzero(known):
        recall = float(point["recall"][i]), drawn["recall"][:, i], sizes["recall"][:, i]
        result[f"recall.{labels[i]}"] = interval(*recall, "share", level)
    return result


def regression_intervals(
    truth: np.ndarray,
    prediction: np.ndarray,
    speakers: Sequence[str] | None = None,
    names: Sequence[str] = DIMENSIONS,
    *,
    level: float = 0.95,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, dict[str, Interval]]:
    """Return the interval of every score of :func:`emopipe.scoring.regression.regression`, in the same shape.

    Args:
        truth: [utterances, dimensions]
        prediction: likewise
        speakers: [utterances], empty where not known; None where no speaker is known
        names: of the dimensions
        level: share of such intervals that are to cover the truth
        replicates: how many resamples
        seed: of the resamples

    Raises:
        UserError: where there is no utterance
    """
    clusters = clusters_of(speakers, len(truth))
    sums = regression_statistics(truth.astype(np.float64), prediction.astype(np.float64), clusters)
    point, drawn = regression_scores(sums.sum(0)), regression_scores(resample(sums, replicates, seed))
    result: dict[str, dict[str, Interval]] = {}
    for score, values in point.items():
        columns = {name: (values[i], drawn[score][:, i]) for i, name in enumerate(names)}
        columns["mean"] = (values.mean(), drawn[score].mean(1))
        result[score] = {
            name: interval(float(value), replicate, sums[:, 0, 0], SCALES[score], level)
            for name, (value, replicate) in columns.items()
        }
    return result
