"""How far the scores of a group of utterances are from those of all, and how far chance alone takes them.

Two answers. First the published one (see :mod:`emopipe.trust.results`): a model that answers at random favours nobody,
so the largest difference of a thousand simulated test sets is chance. The truth of every group is drawn from the same
distribution; the model answers each class as often, and for a dimension draws from the same normal distribution that
the truth is drawn from, of mean 0.5 and standard deviation 1/6, within 0 to 1. The draws are those of the published
simulation, NumPy's frozen generator with the seeds 1 to 1000. Its published thresholds are these of 1000 utterances per
group and, for emotions, shares of 0.05, 0.05, 0.3 and 0.6; with classes of equal size chance takes the recall of a
class half as far.

Second, that of the model's own answers: utterances of like truth change their groups at random, a thousand times
(Fisher's permutation test). It matters where answers vary more than random ones do, as those of a fair model that finds
half of the utterances in the outer bins of a dimension.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.special import ndtr, ndtri

from emopipe.scoring.regression import concordance_cc
from emopipe.scoring.sufficient_statistics import classification_scores, classification_sizes, regression_scores

Scores = dict[str, np.ndarray]

SIMULATIONS = 1000
MEAN, DEVIATION = 0.5, 1 / 6  # of the random model of a dimension
EDGES = (0.25, 0.5, 0.75)  # of the four bins of a dimension
# The published thresholds are steps of 0.025 upwards from the largest difference, as long as that exceeds a step by
# more than this: 0.175 for 0.1777 and 0.1 for 0.1008, but 0.125 for 0.1036.
STEP, NEGLIGIBLE = 0.025, 0.003
RARE = float(ndtr((EDGES[0] - MEAN) / DEVIATION))  # share of a group below which a bin is not judged


def class_scores(counts: np.ndarray) -> Scores:
    """Return ``uar``, and of each class ``recall``, ``precision`` and ``share``, that of the answers: [..., classes].

    Recall is NaN for a class without an utterance, precision for one that is never answered. ``uar`` is [..., 1].

    Args:
        counts: [..., true class, predicted class]
    """
    forwards, backwards = classification_scores(counts), classification_scores(np.swapaxes(counts, -1, -2))
    answers = counts.sum(-2)
    return {
        "uar": forwards["uar"][..., None],
        "recall": forwards["recall"],
        "precision": backwards["recall"],
        "share": answers / answers.sum(-1, keepdims=True),
    }


def class_sizes(counts: np.ndarray) -> Scores:
    """Return how many utterances of each cluster bear on :func:`class_scores`, keyed alike: [clusters, classes or 1].

    In ``uar``, in which every class weighs the same, those of a rare class count for more than one; the sum stays.

    Args:
        counts: [clusters, true class, predicted class]
    """
    forwards, utterances = classification_sizes(counts), counts.sum((-1, -2))[:, None]
    balanced = forwards["uar"][:, None]
    return {
        "uar": balanced * utterances.sum() / balanced.sum(),
        "recall": forwards["recall"],
        "precision": counts.sum(-2),
        "share": np.broadcast_to(utterances, counts.shape[:2]),
    }


def dimension_scores(sums: np.ndarray) -> Scores:
    """Return ``ccc``, and the ``mean`` of the answers from where they are centred: [..., dimensions].

    Args:
        sums: as of :func:`emopipe.scoring.sufficient_statistics.regression_statistics`
    """
    return {"ccc": regression_scores(sums)["ccc"], "mean": sums[..., 2] / sums[..., 0]}


def dimension_sizes(sums: np.ndarray) -> Scores:
    """Return how many utterances of each cluster bear on :func:`dimension_scores`: [clusters, dimensions].

    Args:
        sums: [clusters, dimensions, 9]
    """
    return dict.fromkeys(("ccc", "mean"), sums[..., 0])


def bins(values: np.ndarray) -> np.ndarray:
    """Return the number of the bin of each value, from 0; of the scale of 0 to 1, and values beyond either end.

    >>> bins(np.array([-0.1, 0.25, 0.26, 1.2])).tolist()
    [0, 0, 1, 3]
    """
    return np.searchsorted(EDGES, values)


@cache
def class_thresholds(counts: tuple[int, ...], groups: int) -> dict[str, float]:
    """Return how far chance takes each of :func:`class_scores` of a group from that of all groups, rounded up.

    Args:
        counts: utterances of each class in each group; 0 for a class that is answered alone
        groups: how many

    >>> found = class_thresholds((50, 50, 300, 600), 2)  # as published for the sexes
    >>> {score: found[score] for score in ("uar", "precision", "recall")}
    {'uar': 0.075, 'precision': 0.075, 'recall': 0.175}
    """
    shares, number, labels = np.array(counts) / sum(counts), sum(counts), len(counts)
    drawn = np.zeros((SIMULATIONS, 2, labels, labels))
    for run in range(SIMULATIONS):
        generator = np.random.RandomState(run + 1)
        truth = generator.choice(labels, p=shares, size=number * groups)
        answers = generator.choice(labels, p=np.full(labels, 1 / labels), size=number * groups)
        drawn[run] = _group_and_all(truth, answers, number, labels)
    return _largest(drawn, class_scores)


@cache
def dimension_thresholds(number: int, groups: int) -> dict[str, float]:
    """Return how far chance takes the scores of a dimension in a group from those of all groups, rounded up.

    They are ``ccc`` and ``mean``; and ``recall``, ``precision`` and ``share`` of a bin.

    Args:
        number: utterances in each group
        groups: how many

    >>> found = dimension_thresholds(1000, 2)  # as published for the sexes
    >>> {score: found[score] for score in ("ccc", "precision", "recall")}
    {'ccc': 0.075, 'precision': 0.1, 'recall': 0.1}
    """
    drawn, ends = np.zeros((SIMULATIONS, 2, 4, 4)), ndtr([(end - MEAN) / DEVIATION for end in (0, 1)])
    largest = {"ccc": 0.0, "mean": 0.0}
    for run in range(SIMULATIONS):
        generator = np.random.RandomState(run + 1)
        truth, answers = MEAN + DEVIATION * ndtri(generator.uniform(*ends, size=(2, number * groups)))
        drawn[run] = _group_and_all(bins(truth), bins(answers), number, 4)
        ccc = concordance_cc(truth[:number], answers[:number]) - concordance_cc(truth, answers)
        mean = answers[:number].mean() - answers.mean()
        largest = {"ccc": max(largest["ccc"], abs(ccc)), "mean": max(largest["mean"], abs(mean))}
    return {score: upwards(value) for score, value in largest.items()} | _largest(drawn, class_scores)


def chance(sums: np.ndarray, scores: Callable[[np.ndarray], Scores], seed: int = 0) -> Scores:
    """Return how far chance takes the scores of these very answers in a group from those in all, rounded up: [columns].

    Args:
        sums: of each utterance; those beside each other are of like truth, [utterances, groups, ...]
        scores: what follows from sums, [..., columns] each
        seed: of the exchanges
    """
    utterances, groups, *shape = sums.shape
    chosen = np.random.default_rng(seed).integers(groups, size=(SIMULATIONS, utterances))
    own = sum((chosen == group) @ sums[:, group].reshape(utterances, -1) for group in range(groups))
    drawn, everyone = scores(own.reshape(SIMULATIONS, *shape)), scores(sums.sum((0, 1)))
    return {
        score: np.array([upwards(value) for value in np.nan_to_num(abs(values - everyone[score])).max(0)])
        for score, values in drawn.items()
    }


def upwards(value: float) -> float:
    """Return the step that is the threshold where chance takes a score as far as ``value``.

    >>> upwards(0.1036), upwards(0.1008)
    (0.125, 0.1)
    """
    return round(float(np.ceil((value - NEGLIGIBLE) / STEP)) * STEP, 3)


def _group_and_all(truth: np.ndarray, answers: np.ndarray, number: int, labels: int) -> np.ndarray:
    """Return the confusion counts of the first ``number`` utterances and of all: [2, true class, predicted class]."""
    cells = truth * labels + answers
    counts = [np.bincount(part, minlength=labels**2) for part in (cells[:number], cells)]
    return np.reshape(counts, (2, labels, labels))


def _largest(drawn: np.ndarray, scores: Callable[[np.ndarray], Scores]) -> dict[str, float]:
    found = scores(drawn)
    return {score: upwards(np.nanmax(abs(values[:, 0] - values[:, 1]))) for score, values in found.items()}
