"""Does a model serve everybody alike: both sexes, low voices and high ones, every language?

The fairness tests of the published suite (:mod:`emopipe.trust.results`). The score of a group minus that of all groups
together must not be further from 0 than chance takes it: chance in the answers of a random model, as published, or in
those of this one, whichever goes further (:mod:`emopipe.trust.differences`). The groups are of equal size, 1000
utterances or as many as there are, and alike in truth: what was harder to say for one of them would look like a bias of
the model. So beside each utterance of the smallest group, in random order, one with the same emotion (of a dimension:
with a value within :data:`TOLERANCE`) is drawn from every other group, none twice; what has no such counterpart is left
out.

The thresholds take utterances for independent. Those of one speaker are not, and some groups have very few speakers:
one hard voice among two is no bias against a sex. So beside each difference stands its interval over speakers.

A test by language is published for unlabelled speech alone, by the shares and the mean of the answers. Here, as the
truth is known, all scores are compared.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from emopipe.schemas.predictions import TRAINED
from emopipe.scoring.bootstrap import REPLICATES, clusters_of, resample
from emopipe.scoring.groups import LEAST
from emopipe.scoring.intervals import Interval, effective, interval
from emopipe.scoring.sufficient_statistics import confusion_counts, regression_statistics
from emopipe.scoring.targets import EmotionTarget, VadTarget
from emopipe.trust.correctness import unit
from emopipe.trust.differences import (
    EDGES,
    RARE,
    Scores,
    bins,
    chance,
    class_scores,
    class_sizes,
    class_thresholds,
    dimension_scores,
    dimension_sizes,
    dimension_thresholds,
)
from emopipe.trust.pitch import MEASURED, pitch_groups
from emopipe.trust.results import Result, judged, not_applicable

DRAWN = 1000  # utterances of each group, where there are as many
SMALLEST = 20  # utterances of a group, the fewest that the published simulation was made for
TOLERANCE = 0.05  # between values of a dimension that count as alike, on the scale of 0 to 1
DECIMALS = 3  # to which a difference is rounded before it is compared
BINS = tuple(f"{low:.2f}-{high:.2f}" for low, high in zip((0, *EDGES), (*EDGES, 1), strict=True))
ANSWERS = ("truth", "prediction")

SEX, PITCH, LANGUAGE = "fairness_sex", "fairness_pitch", "fairness_language"
LABELLED = ("uar", "ccc", "recall", "precision")
# Published for languages, above what was simulated: the truth of unlabelled speech may differ.
LEAST_THRESHOLDS = {(LANGUAGE, "share"): 0.1, (LANGUAGE, "mean"): 0.03}
SCORES = {SEX: LABELLED, PITCH: LABELLED, LANGUAGE: (*LABELLED, "share", "mean")}


def by_sex(target: EmotionTarget | VadTarget, model: str = TRAINED) -> list[Result]:
    """Return the tests of a model by the sex of the speaker.

    Args:
        target: the test set
        model: one of the target's
    """
    return _by_group(target, model, SEX, target.utterances["sex"].to_numpy(), "of a known sex")


def by_language(target: EmotionTarget | VadTarget, model: str = TRAINED) -> list[Result]:
    """Return the tests of a model by the language that is spoken.

    Args:
        target: the test set
        model: one of the target's
    """
    return _by_group(target, model, LANGUAGE, target.utterances["language"].to_numpy(), "in a known language")


def by_pitch(target: EmotionTarget | VadTarget, f0: Mapping[str, float], model: str = TRAINED) -> list[Result]:
    """Return the tests of a model by the pitch of the speaker.

    Args:
        target: the test set
        f0: of each utterance in Hz, as of :func:`emopipe.trust.pitch.mean_f0`; NaN or absent where there is none
        model: one of the target's
    """
    own = target.utterances["utterance"].map(f0).to_numpy(dtype=np.float64)
    groups = pitch_groups(target.utterances["speaker"], own)
    return _by_group(target, model, PITCH, groups, f"of speakers with {MEASURED} that have an F0")


def alike(truth: np.ndarray, groups: np.ndarray, tolerance: float, seed: int = 0) -> np.ndarray:
    """Return the rows of utterances that are drawn so that the truth of all groups is alike: [draws, groups].

    The columns are the groups in the order of their names.

    Args:
        truth: a number for each utterance
        groups: of which each is
        tolerance: between the truth of an utterance of the smallest group and that of one drawn beside it
        seed: of the draws

    >>> sorted(alike(np.array([1, 2, 2, 1, 3]), np.array(["f", "f", "m", "m", "m"]), 0).tolist())
    [[0, 3], [1, 2]]
    """
    names = sorted(set(groups))
    shuffled = np.random.default_rng(seed).permutation(len(truth))  # among equals, chance chooses
    pools = {name: shuffled[groups[shuffled] == name] for name in names}
    smallest = min(names, key=lambda name: len(pools[name]))
    ordered = {name: rows[np.argsort(truth[rows], kind="stable")].tolist() for name, rows in pools.items()}
    values = {name: truth[rows].tolist() for name, rows in ordered.items()}
    others, drawn = [name for name in names if name != smallest], []
    for row in pools[smallest].tolist():
        places = {name: _nearest(values[name], truth[row], tolerance) for name in others}
        if None in places.values():
            continue
        drawn.append([row if name == smallest else ordered[name].pop(places[name]) for name in names])
        for name, place in places.items():
            values[name].pop(place)
        if len(drawn) == DRAWN:
            break
    return np.array(drawn, dtype=int).reshape(-1, len(names))


def _nearest(values: Sequence[float], value: float, tolerance: float) -> int | None:
    """Return the place of the sorted value that is nearest to another one; None where none is near."""
    place = bisect_left(values, value)
    near = [at for at in (place, place - 1) if 0 <= at < len(values) and abs(values[at] - value) <= tolerance]
    return min(near, key=lambda at: abs(values[at] - value), default=None)


def _by_group(target: EmotionTarget | VadTarget, model: str, test: str, groups: np.ndarray, which: str) -> list[Result]:
    """Return the tests of a model by groups of utterances.

    Args:
        target: the test set
        model: one of the target's
        test: its name
        groups: of which each utterance is, empty where that is not known, [utterances]
        which: utterances have a group, in words
    """
    headline = "uar" if isinstance(target, EmotionTarget) else "ccc"
    sizes = pd.Series(groups[groups != ""]).value_counts().sort_index()
    enough = sizes.index[sizes >= SMALLEST]
    found = [
        not_applicable(test, headline, "within", int(sizes[name]), _fewer(sizes[name], SMALLEST), group=name)
        for name in sizes.index.difference(enough)
    ]
    if len(enough) < 2:
        note = f"groups of {SMALLEST} utterances {which}: {len(enough)}; a comparison needs two"
        return [*found, not_applicable(test, headline, "within", int(sizes[enough].sum()), note)]
    rows = target.utterances[["utterance", "speaker"]].assign(group=groups)
    kept = np.isin(groups, enough)
    if isinstance(target, EmotionTarget):
        own = rows.assign(truth=target.truth, prediction=target.predictions[model])[kept]
        return found + _emotions(own.sort_values("utterance"), test)
    truth, prediction = unit(target.truth), unit(target.predictions[model])
    for i, name in enumerate(target.dimensions):
        own = rows.assign(truth=truth[:, i], prediction=prediction[:, i])[kept]
        found += _dimension(own.sort_values("utterance"), test, name)
    return found


def _fewer(number: int, least: int) -> str:
    return f"{number} utterances, fewer than {least}"


def _emotions(rows: pd.DataFrame, test: str) -> list[Result]:
    """Return the tests of answered emotions.

    Args:
        rows: ``speaker``, ``group``, ``truth`` and ``prediction``
        test: its name
    """
    least = pd.crosstab(rows["group"], rows["truth"]).min()
    common = least.index[least >= LEAST]
    found = [
        not_applicable(
            test, "recall", "within", int(least[label]), f"{_fewer(least[label], LEAST)}, in a group", subject=label
        )
        for label in least.index.difference(common)
    ]
    if len(common) < 2:
        note = f"classes of {LEAST} utterances in every group: {len(common)}; a comparison needs two"
        return [*found, not_applicable(test, "uar", "within", len(rows), note)]
    rows = rows[rows["truth"].isin(common)]
    drawn = alike(pd.factorize(rows["truth"])[0], rows["group"].to_numpy(), 0.0)
    chosen = rows.iloc[drawn.ravel()]
    labels = sorted({*chosen["truth"], *chosen["prediction"]})
    sums = _confusions(chosen, labels).reshape(*drawn.shape, len(labels), len(labels))
    of_class = sums[:, 0].sum((0, 2)).astype(int)  # alike in all groups
    published = class_thresholds(tuple(of_class.tolist()), drawn.shape[1])
    for one in _differences(chosen, sums, class_scores, class_sizes):
        occurs = one.score not in ("recall", "precision") or of_class[one.column] > 0
        if one.score in SCORES[test] and occurs:
            subject = "" if one.score == "uar" else labels[one.column]
            found.append(_judged(test, one, subject, published, drawn.shape[1]))
    return found


def _dimension(rows: pd.DataFrame, test: str, name: str) -> list[Result]:
    """Return the tests of an answered dimension.

    Args:
        rows: ``speaker``, ``group``, and ``truth`` and ``prediction`` on the scale of 0 to 1
        test: its name
        name: of the dimension
    """
    drawn = alike(rows["truth"].to_numpy(), rows["group"].to_numpy(), TOLERANCE)
    number, groups = drawn.shape
    if number < SMALLEST:
        note = f"{number} utterances have one of like truth in every other group, fewer than {SMALLEST}"
        return [not_applicable(test, "ccc", "within", number, note, subject=name)]
    chosen, published = rows.iloc[drawn.ravel()], dimension_thresholds(number, groups)
    truth, prediction = (chosen[[column]].to_numpy() for column in ANSWERS)
    sums = regression_statistics(truth, prediction, np.arange(len(chosen))).reshape(number, groups, 1, -1)
    found = [
        _judged(test, one, name, published, groups)
        for one in _differences(chosen, sums, dimension_scores, dimension_sizes)
        if one.score in SCORES[test]
    ]
    binned = chosen.assign(**{column: bins(chosen[column]) for column in ANSWERS})
    counts = _confusions(binned, range(len(BINS))).reshape(number, groups, len(BINS), len(BINS))
    in_bin, least = counts.sum((0, 1, 3)).astype(int), RARE * number
    for one in _differences(chosen, counts, class_scores, class_sizes):
        if one.score == "uar" or one.score not in SCORES[test]:
            continue
        subject, inside = f"{name} {BINS[one.column]}", int(in_bin[one.column])
        if inside < least:
            note = f"{inside} utterances in the bin, fewer than {least:.0f}"
            found.append(not_applicable(test, one.score, "within", inside, note, subject=subject, group=one.group))
        else:
            found.append(_judged(test, one, subject, published, groups))
    return found


def _confusions(rows: pd.DataFrame, labels: Sequence[Any]) -> np.ndarray:
    """Return the confusion counts of each utterance: [utterances, true class, predicted class]."""
    return confusion_counts(rows["truth"], rows["prediction"], np.arange(len(rows)), labels)


class _Difference(NamedTuple):
    """The score of a group minus that of all."""

    group: str
    score: str
    column: int  # of the score: a class, a bin
    interval: Interval
    chance: float  # how far it takes these answers
    utterances: int


def _differences(
    rows: pd.DataFrame,
    sums: np.ndarray,
    scores: Callable[[np.ndarray], Scores],
    sizes: Callable[[np.ndarray], Scores],
) -> Iterator[_Difference]:
    """Yield the difference of each group, score and column, with its interval.

    Speakers are resampled within their group. The interval counts as many of them as there are on the thinner side, in
    the group or in the others.

    Args:
        rows: ``speaker`` and ``group`` of the utterances, those of like truth behind each other
        sums: of each utterance, [utterances of like truth, groups, ...]
        scores: what follows from sums, [..., columns] each
        sizes: with how many utterances the clusters bear on each score, [clusters, columns] each
    """
    by_chance, everyone = chance(sums, scores), scores(sums.sum((0, 1)))
    parts = {group: _by_speaker(own["speaker"], sums[:, i]) for i, (group, own) in enumerate(rows.groupby("group"))}
    weights = {group: sizes(part) for group, part in parts.items()}
    resampled = {group: resample(part, REPLICATES, seed) for seed, (group, part) in enumerate(parts.items())}
    everyone_drawn = scores(sum(resampled.values()))
    for group, part in parts.items():
        own, own_drawn = scores(part.sum(0)), scores(resampled[group])
        for score, values in own.items():
            for column, value in enumerate(values - everyone[score]):
                mine = weights[group][score][:, column]
                others = np.concatenate([weights[other][score][:, column] for other in parts if other != group])
                thinner = min((mine, others), key=lambda side: effective(side) if side.any() else 0.0)
                replicates = own_drawn[score][:, column] - everyone_drawn[score][:, column]
                found = interval(float(value), replicates, thinner)
                by_this = float(by_chance[score][column])
                yield _Difference(group, score, column, found, by_this, round(float(mine.sum())))


def _by_speaker(speakers: pd.Series, sums: np.ndarray) -> np.ndarray:
    """Return the sums of the clusters, [clusters, ...], of those of their utterances."""
    clusters = clusters_of(speakers, len(speakers))
    found = np.zeros((clusters.max() + 1, *sums.shape[1:]))
    np.add.at(found, clusters, sums)
    return found


def _judged(test: str, one: _Difference, subject: str, published: Mapping[str, float], groups: int) -> Result:
    """Return the record of a difference; without a judgement where no group could fail."""
    about = {"subject": subject, "group": one.group}
    value, number = one.interval.value, one.utterances
    if value is None:
        return not_applicable(test, one.score, "within", number, "never answered", **about)
    simulated = max(published[one.score], LEAST_THRESHOLDS.get((test, one.score), 0.0))
    threshold = max(simulated, one.chance)
    note = (
        f"as far as chance takes these answers; those of a random model: {simulated:g}" if threshold > simulated else ""
    )
    found = judged(
        test,
        one.score,
        value,
        "within",
        threshold,
        number,
        interval=one.interval,
        decimals=DECIMALS,
        note=note,
        **about,
    )
    if threshold < 1 - 1 / groups:
        return found
    note = "too few utterances: chance alone takes it as far as a group can be from all"
    return found._replace(passed=None, note=note)
