"""Selective prediction: answers that are given only where they are certain, and sets that hold the truth.

All that is chosen is chosen on the dev set. The guarantees are those of exchangeability: they hold for new speakers, or
new utterances, that come from where those of the dev set come from.
"""

from __future__ import annotations

import math

import numpy as np

UNKNOWN = -1  # the number of a speaker of whom nothing is known
ROUNDING = 1e-9  # sums of weights that differ by less are the same


def weights(speakers: np.ndarray) -> np.ndarray:
    """Return the weight of each utterance, so that all speakers count the same; they add up to 1.

    An utterance whose speaker is unknown counts as a speaker.

    Args:
        speakers: numbers, [utterances]

    >>> weights(np.array([0, 0, 1, -1])).round(3).tolist()
    [0.167, 0.167, 0.333, 0.333]
    """
    _, inverse, counts = np.unique(speakers, return_inverse=True, return_counts=True)
    shares = np.where(speakers == UNKNOWN, 1.0, 1.0 / counts[inverse])
    return shares / shares.sum()


def confidence_threshold(probabilities: np.ndarray, speakers: np.ndarray, coverage: float) -> float:
    """Return the largest confidence such that answers with at least that cover a share of the utterances.

    Args:
        probabilities: [utterances, classes]
        speakers: numbers, [utterances]; all of them count the same
        coverage: the share, above 0

    >>> confidence_threshold(np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), np.array([0, 1, 2]), 0.5)
    0.8
    """
    confidence = probabilities.max(axis=1)
    order = np.argsort(-confidence, kind="stable")
    covered = np.cumsum(weights(speakers)[order])
    return float(confidence[order][np.searchsorted(covered, coverage - ROUNDING).clip(max=len(order) - 1)])


def conformal_threshold(
    probabilities: np.ndarray, targets: np.ndarray, speakers: np.ndarray, coverage: float
) -> tuple[float, str]:
    """Return the largest score 1 − p of a class within prediction sets that hold the truth as often as requested.

    The score of an utterance is that of its true class (Sadinle, Lei and Wasserman, "Least ambiguous set-valued
    classifiers with bounded error levels", JASA 114, 2019), the threshold its conformal quantile. Where K speakers with
    N_k utterances each are known, a score has the weight 1 / ((K + 1) N_k), and 1 / (K + 1) lies at infinity: a set
    then holds the truth of a new speaker's utterance with that probability (Lee, Barber and Willett, "Distribution-free
    inference with hierarchical data", arXiv 2306.06342, 2023; without the mass at infinity it is the pooling of Dunn,
    Wasserman and Ramdas, JASA 118, 2023, whose coverage is asymptotic). That takes K ≥ c / (1 − c)
    speakers. With fewer, or where one is unknown, every one of n utterances has the weight 1 / (n + 1), and the
    probability is that for utterances alone: of a new speaker it may be less.

    Args:
        probabilities: [utterances, classes]
        targets: numbers of the true classes, [utterances]
        speakers: numbers, [utterances]
        coverage: the share c, above 0

    Returns:
        the threshold, infinite where no set but that of all classes holds the truth so often; and for what it is
        that it holds, ``speaker`` or ``utterance``
    """
    scores = 1 - probabilities[np.arange(len(targets)), targets]
    known = len(np.unique(speakers))
    by_speaker = UNKNOWN not in speakers and known / (known + 1) >= coverage - ROUNDING
    masses = weights(speakers) * known / (known + 1) if by_speaker else np.full(len(scores), 1 / (len(scores) + 1))
    order = np.argsort(scores, kind="stable")
    place = int(np.searchsorted(np.cumsum(masses[order]), coverage - ROUNDING))
    threshold = float(scores[order[place]]) if place < len(order) else math.inf
    return threshold, "speaker" if by_speaker else "utterance"


def prediction_sets(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Return which classes cannot be ruled out, [utterances, classes]; the likeliest never is.

    Args:
        probabilities: [utterances, classes]
        threshold: see :func:`conformal_threshold`

    >>> prediction_sets(np.array([[0.6, 0.3, 0.1], [0.4, 0.35, 0.25]]), 0.65).tolist()
    [[True, False, False], [True, True, False]]
    """
    inside = 1 - probabilities <= threshold
    inside[np.arange(len(inside)), probabilities.argmax(axis=1)] = True
    return inside


def risk_coverage(probabilities: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of wrong answers among those that are given, from the most certain one to all.

    El-Yaniv and Wiener, "On the foundations of noise-free selective classification", JMLR 11, 2010. Answers that are
    equally certain are given together: between the first and the last of them the risk is that of a random order.

    Args:
        probabilities: [utterances, classes]
        targets: numbers of the true classes, [utterances]

    Returns:
        coverage i / n and risk, for i = 1 to n, [utterances] each
    """
    confidence, wrong = probabilities.max(axis=1), probabilities.argmax(axis=1) != targets
    _, group, counts = np.unique(-confidence, return_inverse=True, return_counts=True)
    expected = (np.bincount(group, wrong) / counts)[np.sort(group)]
    given = np.arange(1, len(wrong) + 1)
    return given / len(wrong), np.cumsum(expected) / given


def aurc(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Return the area under the curve of :func:`risk_coverage`, the mean over its points: 0 is best.

    Geifman and El-Yaniv, "Selective classification for deep neural networks", NeurIPS 2017; Geifman, Uziel and
    El-Yaniv, "Bias-reduced uncertainty estimation for deep neural classifiers", ICLR 2019.

    Args:
        probabilities: [utterances, classes]
        targets: numbers of the true classes, [utterances]

    >>> aurc(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))
    0.25
    """
    return float(risk_coverage(probabilities, targets)[1].mean())
