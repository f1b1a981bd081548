"""Strategies that assign utterances to train, dev and test.

Which set an utterance is in depends on the seed and on the utterances there are, not on their order. Groups are drawn
corpus by corpus, so that a corpus is divided in the same way whichever others are listed beside it. Two kinds of
corpora are drawn together, as one: those that share a speaker, who must not be in two sets, and those with too few
groups to be divided alone. The folds alone are made of the groups of all corpora.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from emopipe.io.errors import UserError
from emopipe.splits.parameters import Partition

CANDIDATES = 300  # random draws of groups, of which the best balanced is taken
MIN_GROUPS = 3  # one for each set


def assign(rows: pd.DataFrame, settings: Partition, key: str) -> pd.Series:
    """Return the set of every row: train, dev or test.

    Args:
        rows: utterances with columns ``corpus``, ``speaker``, ``session``, ``sex``, ``emotion`` and ``split`` (the
            official one)
        settings: strategy, and what it needs
        key: the group's name in params.yaml, for messages

    Raises:
        UserError: if the corpora lack what the strategy needs
    """
    match settings.strategy:
        case "speaker":
            return _random_groups(rows, _speakers(rows, key), settings, key)
        case "session":
            return _random_groups(rows, _sessions(rows, key), settings, key)
        case "random":
            return _random_groups(rows, rows["utterance"], settings, key)
        case "official":
            return _official(rows, settings, key)
        case "corpus":
            return _add_dev(rows, _unit(rows), rows["corpus"].isin(settings.test_corpora), settings)
        case "speaker_folds":
            return _fold(rows, _speakers(rows, key), settings.folds, settings, key)
        case "leave_one_speaker_out":
            return _fold(rows, _speakers(rows, key), None, settings, key)
        case "leave_one_session_out":
            return _fold(rows, _sessions(rows, key), None, settings, key)


def require_corpora(rows: pd.DataFrame, settings: Partition, key: str) -> None:
    """Check that the strategy ``corpus``, and no other, names test corpora, and that there are such and others.

    Raises:
        UserError: if not
    """
    known, tested = sorted(rows["corpus"].unique()), settings.test_corpora
    if settings.strategy != "corpus":
        if tested:
            raise UserError(f"{key}.test_corpora: set, but {key}.strategy is {settings.strategy}; choose corpus, or []")
    elif not tested:
        raise UserError(f"{key}.test_corpora: empty; name the corpora to test on, of {', '.join(known)}")
    elif unknown := sorted(set(tested) - set(known)):
        raise UserError(f"{key}.test_corpora: no utterance is of {', '.join(unknown)}; there are {', '.join(known)}")
    elif set(known) == set(tested):
        raise UserError(f"{key}.test_corpora: leaves none of {', '.join(known)} to train on")


def _speakers(rows: pd.DataFrame, key: str) -> pd.Series:
    _require(rows, "speaker", key)
    return rows["speaker"]


def _sessions(rows: pd.DataFrame, key: str) -> pd.Series:
    _require(rows, "session", key)
    return rows["corpus"] + "/" + rows["session"]  # every corpus has a session 1


def _require(rows: pd.DataFrame, column: str, key: str) -> None:
    unknown = rows.loc[rows[column] == "", "corpus"].unique()
    if len(unknown):
        raise UserError(f"{key}.strategy: the {column}s of {', '.join(unknown)} are unknown; choose random or official")


def _unit(rows: pd.DataFrame) -> pd.Series:
    """Return the smallest group that can be drawn: a speaker, or an utterance whose speaker is unknown."""
    return rows["speaker"].where(rows["speaker"] != "", rows["utterance"])


def _random_groups(rows: pd.DataFrame, groups: pd.Series, settings: Partition, key: str) -> pd.Series:
    if groups.nunique() < MIN_GROUPS:
        raise UserError(
            f"{key}.strategy: {settings.strategy} needs {MIN_GROUPS} groups or more, here are {groups.nunique()}"
        )
    sets = pd.Series("train", index=rows.index)
    for own in _pools(rows, groups, MIN_GROUPS):
        theirs = groups[own.index]
        if theirs.nunique() < MIN_GROUPS:
            names = ", ".join(sorted(own["corpus"].unique()))
            print(f"{key}: {names}: all in train, since {theirs.nunique()} group(s) cannot be divided into three sets")
            continue
        tested = own.index.isin(_sample_groups(own, theirs, settings.fractions[2], 2, settings.seed))
        sets[own.index] = _add_dev(own, theirs, tested, settings)
    return sets


def _pools(rows: pd.DataFrame, groups: pd.Series, least: int) -> Iterator[pd.DataFrame]:
    """Yield the rows of each corpus; those with fewer than ``least`` groups, or that share one, come as one."""
    few = groups.groupby(rows["corpus"]).transform("nunique") < least
    shared = rows["corpus"].groupby(groups).transform("nunique") > 1
    together = few | shared.groupby(rows["corpus"]).transform("any")
    for _, own in rows.groupby(rows["corpus"].mask(together, "")):
        yield own


def _fold(rows: pd.DataFrame, groups: pd.Series, folds: int | None, settings: Partition, key: str) -> pd.Series:
    """Cut the sorted groups into contiguous folds (None: one for each group), of which one is the test set."""
    names = sorted(groups.unique())
    folds = folds or len(names)
    if folds > len(names):
        raise UserError(f"{key}.folds: {folds}, but there are {len(names)} speakers")
    if settings.fold >= folds:
        raise UserError(f"{key}.fold: {settings.fold}; with {folds} folds choose 0 to {folds - 1}")
    return _add_dev(rows, groups, groups.isin(np.array_split(names, folds)[settings.fold]), settings)


def _official(rows: pd.DataFrame, settings: Partition, key: str) -> pd.Series:
    """The corpora's own sets; those without any are drawn by speaker, or by utterance where a speaker is unknown."""
    known = (rows["speaker"] != "").groupby(rows["corpus"]).transform("all")
    groups = rows["speaker"].where(known, rows["utterance"])
    sets = rows["split"].copy()
    for corpus, own in rows.groupby("corpus", sort=True):
        given = set(own["split"]) - {""}
        if given and "" in set(own["split"]):
            raise UserError(f"{key}.strategy: official: {corpus} gives a split for some rows and not for others")
        if "train" in given and "dev" not in given:
            sets[own.index] = _add_dev(own, groups[own.index], own["split"] == "test", settings)
    if (sets == "").any():
        sets[sets == ""] = _random_groups(rows[sets == ""], groups[sets == ""], settings, key)
    return sets


def _add_dev(rows: pd.DataFrame, groups: pd.Series, tested: pd.Series | np.ndarray, settings: Partition) -> pd.Series:
    """Return the sets, given which rows are the test set: dev is drawn from the others, where they can be divided."""
    train, dev, _ = settings.fractions
    sets = pd.Series("train", index=rows.index)
    sets[tested] = "test"
    for own in _pools(rows[sets == "train"], groups[sets == "train"], 2):
        if groups[own.index].nunique() > 1:
            sets[_sample_groups(own, groups[own.index], dev / (train + dev), 1, settings.seed)] = "dev"
    return sets


def _sample_groups(rows: pd.DataFrame, groups: pd.Series, share: float, spare: int, seed: int) -> pd.Index:
    """Return the rows of whole groups: about ``share`` of every emotion, in all and of every corpus and sex.

    Sex is balanced because it shifts what emotions sound like: a model that was hardly trained on women would be judged
    on women alone. ``spare`` groups are left in any case.

    The candidates are those of scikit-learn's ``GroupShuffleSplit(CANDIDATES, test_size=number, random_state=seed)``,
    which is not imported because that takes a second.
    """
    strata = [rows["emotion"], rows["corpus"] + "/" + rows["sex"] + "/" + rows["emotion"]]
    codes = [pd.factorize(stratum, sort=True)[0] for stratum in strata]
    names, group = np.unique(groups, return_inverse=True)
    number = min(max(1, round(share * len(names))), len(names) - spare)
    draw = np.random.RandomState(seed)  # its stream is frozen, so that a seed means the same split for ever
    candidates = (np.isin(group, draw.permutation(len(names))[:number]) for _ in range(CANDIDATES))
    return rows.index[min(candidates, key=lambda chosen: sum(_imbalance(code, chosen, share) for code in codes))]


def _imbalance(codes: np.ndarray, chosen: np.ndarray, share: float) -> float:
    """Return how far the strata numbered by ``codes`` are from having ``share`` of their rows chosen."""
    totals = np.bincount(codes)
    counts = np.bincount(codes[chosen], minlength=len(totals))
    # Relative to the stratum's size, so that a rare one counts as much as a common one; one that is wholly
    # on one side cannot be learned or cannot be scored, which is worse than any unevenness.
    one_sided = (counts == 0) | (counts == totals)
    return float((np.abs(counts / totals - share) + one_sided).sum())
