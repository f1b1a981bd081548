"""How far do shortcuts get: what a recording's length, loudness or speaker tells of its emotion, without any network?

A model that scores no better than such a shortcut may have learned that alone (Geirhos et al., "Shortcut learning in
deep neural networks", Nature Machine Intelligence 2, 2020). Each of them is given to a small model, fitted on the
training set and judged on the test set. Some are honest cues as well: sad speech is slow and soft. The scores say what
a model must beat, and that a noise floor or a silence tells what it must not.

Whether a shortcut tells anything is tested twice: by the interval over speakers, and by a permutation test within them
(Good, "Permutation, parametric and bootstrap tests of hypotheses", 2005), for test sets of two or three speakers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from emopipe.scoring.baselines import majority_class
from emopipe.scoring.bootstrap import classification_intervals, regression_intervals
from emopipe.scoring.classification import unweighted_average_recall
from emopipe.scoring.intervals import Interval
from emopipe.scoring.regression import concordance_cc
from emopipe.scoring.sufficient_statistics import classification_scores
from emopipe.trust.measures import IDENTITIES, MEASURES

ALL = "all"  # shortcuts together but the speaker, who is another one in the test set
SHUFFLES, SELDOM = 199, 0.01  # of the test set's emotions; share of them that may get as far as a shortcut


class Shortcut(NamedTuple):
    """How far a shortcut gets on the test set; what is not defined is None, and ``note`` says why."""

    name: str  # one of MEASURES or IDENTITIES, or all
    score: str  # uar, or ccc.valence, ...
    value: float | None
    low: float | None  # 95 % interval over speakers
    high: float | None
    p: float | None  # share of shuffles of the emotions within every speaker with which it gets as far
    baseline: float  # the score of one answer for all
    n: int  # test utterances
    note: str = ""

    @property
    def found(self) -> bool:
        """Return whether it tells more than nothing, beyond chance.

        It does if it does of other speakers, the whole interval being above the baseline. Of few test speakers no
        interval is narrow; then it does if it does of these, next to no shuffle getting as far.
        """
        above = self.low is not None and self.low > self.baseline
        return above or (self.p is not None and self.p <= SELDOM and self.value > self.baseline)


def shortcuts(rows: pd.DataFrame, targets: Sequence[str] = ()) -> list[Shortcut]:
    """Return how far each shortcut gets, and all of them but the speaker together.

    The small models are a class-balanced logistic regression and a ridge regression, of numbers that are standardised
    and names that are one-hot encoded.

    Args:
        rows: of a split, its columns and :data:`emopipe.trust.measures.MEASURES`
        targets: dimensions that are predicted; none: the emotion
    """
    labelled = rows[list(targets)].notna().all(axis=1) if targets else rows["emotion"] != ""
    rows = rows[labelled].sort_values("utterance")
    train, test = rows[rows["split"] == "train"], rows[rows["split"] == "test"]
    names, orders = (*MEASURES, *IDENTITIES), _shuffles(test["speaker"])
    inputs = {name: [name] for name in names} | {ALL: [name for name in names if name != "speaker"]}
    return [one for name, columns in inputs.items() for one in _shortcut(name, columns, train, test, targets, orders)]


def classifier(strength: float = 1.0) -> LogisticRegression:
    """Return a class-balanced logistic regression to be fitted.

    Args:
        strength: C, the inverse of the regularisation
    """
    return LogisticRegression(C=strength, class_weight="balanced", max_iter=10_000)


def uar(rows: pd.DataFrame, prediction: np.ndarray) -> Interval:
    """Return the UAR of predicted emotions with its interval; of one answer for all it has none.

    Args:
        rows: ``emotion`` and ``speaker``
        prediction: [utterances]
    """
    found = classification_intervals(list(rows["emotion"]), list(prediction), rows["speaker"])["uar"]
    return found._replace(low=None, high=None, note="one answer for all") if len(set(prediction)) == 1 else found


def _shortcut(
    name: str,
    columns: Sequence[str],
    train: pd.DataFrame,
    test: pd.DataFrame,
    targets: Sequence[str],
    orders: np.ndarray,
) -> Iterator[Shortcut]:
    scores = [f"ccc.{target}" for target in targets] or ["uar"]
    majority = [] if targets else [majority_class(train["emotion"])] * len(test)
    baseline = 0.0 if targets else unweighted_average_recall(test["emotion"], majority)
    known = test["speaker"].isin(set(train["speaker"]) - {""})
    note = ""
    if not targets and train["emotion"].nunique() < 2:
        note = "one emotion alone in the training set"
    elif train[list(columns)].nunique().max() < 2:
        note = "the same in all training utterances"
    elif name == "speaker" and not known.any():
        note = f"none of {test['speaker'].nunique()} test speakers is in the training set"
    if note:
        yield from (Shortcut(name, score, None, None, None, None, baseline, len(test), note) for score in scores)
        return
    if name == "speaker" and not known.all():
        note = f"{(~known).sum()} of {len(test)} test utterances are of speakers who are not in the training set"
    prediction = _fitted(columns, train, targets).predict(test[list(columns)])
    judge = _ccc if targets else _uar
    for score, (one, shuffled) in zip(scores, judge(test, prediction, targets, orders), strict=True):
        p = float((1 + (shuffled >= one.value - 1e-9).sum()) / (1 + SHUFFLES))
        notes = "; ".join(part for part in (note, one.note) if part)
        yield Shortcut(name, score, one.value, one.low, one.high, p, baseline, len(test), notes)


Judged = Iterator[tuple[Interval, np.ndarray]]  # a score, and what it is with the truth shuffled: [SHUFFLES]


def _uar(test: pd.DataFrame, prediction: np.ndarray, _: Sequence[str], orders: np.ndarray) -> Judged:
    labels = pd.Index(sorted({*test["emotion"], *prediction}))
    truth, answers, size = labels.get_indexer(test["emotion"]), labels.get_indexer(prediction), len(labels)
    counts = [np.bincount(truth[order] * size + answers, minlength=size**2) for order in orders]
    yield uar(test, prediction), classification_scores(np.reshape(counts, (-1, size, size)))["uar"]


def _ccc(test: pd.DataFrame, prediction: np.ndarray, targets: Sequence[str], orders: np.ndarray) -> Judged:
    truth, prediction = test[list(targets)].to_numpy(), prediction.reshape(len(test), -1)
    intervals = regression_intervals(truth, prediction, test["speaker"], targets)["ccc"]
    for i, target in enumerate(targets):
        shuffled = [concordance_cc(truth[order, i], prediction[:, i]) for order in orders]
        yield intervals[target], np.array(shuffled)


def _shuffles(speakers: pd.Series) -> np.ndarray:
    """Return orders of the utterances in which each stays among those of its speaker: [SHUFFLES, utterances]."""
    generator, own = np.random.default_rng(0), pd.factorize(speakers)[0]
    orders, places = np.empty((SHUFFLES, len(own)), dtype=np.int32), np.argsort(own, kind="stable")
    for order in orders:
        order[places] = np.lexsort((generator.random(len(own)), own))
    return orders


def _fitted(columns: Sequence[str], train: pd.DataFrame, targets: Sequence[str]) -> Pipeline:
    inputs = ColumnTransformer(
        [
            ("numbers", StandardScaler(), [name for name in columns if name in MEASURES]),
            ("names", OneHotEncoder(handle_unknown="ignore"), [name for name in columns if name in IDENTITIES]),
        ]
    )
    model = make_pipeline(inputs, Ridge() if targets else classifier())
    answers = train[list(targets)].to_numpy() if targets else train["emotion"].to_numpy(dtype=str)
    return model.fit(train[list(columns)], answers)
