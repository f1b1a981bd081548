"""Who is trained on, who picks the epoch, and who is tested on.

Which set an utterance is in depends on the seed and on the utterances there are, not on their order.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit

from emopipe.io.errors import UserError
from emopipe.splits.parameters import Partition

CANDIDATES = 300  # random draws of groups, of which the best balanced is taken


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
            return _drawn(rows, _speakers(rows, key), settings, key)
        case "session":
            return _drawn(rows, _sessions(rows, key), settings, key)
        case "random":
            return _drawn(rows, rows["utterance"], settings, key)
        case "official":
            return _official(rows, settings, key)
        case "corpus":
            return _with_dev(rows, _smallest(rows), rows["corpus"].isin(settings.test_corpora), settings)
        case "speaker_folds":
            return _fold(rows, _speakers(rows, key), settings.folds, settings, key)
        case "leave_one_speaker_out":
            return _fold(rows, _speakers(rows, key), None, settings, key)
        case "leave_one_session_out":
            return _fold(rows, _sessions(rows, key), None, settings, key)


def require_corpora(rows: pd.DataFrame, settings: Partition, key: str) -> None:
    """Check that the test corpora are there, that others are, and that it is the strategy that wants them.

    Raises:
        UserError: if not
    """
    there, wanted = sorted(rows["corpus"].unique()), settings.test_corpora
    if settings.strategy != "corpus":
        if wanted:
            raise UserError(f"{key}.test_corpora: set, but {key}.strategy is {settings.strategy}; choose corpus, or []")
    elif not wanted:
        raise UserError(f"{key}.test_corpora: empty; name the corpora to test on, of {', '.join(there)}")
    elif unknown := sorted(set(wanted) - set(there)):
        raise UserError(f"{key}.test_corpora: no utterance is of {', '.join(unknown)}; there are {', '.join(there)}")
    elif set(there) == set(wanted):
        raise UserError(f"{key}.test_corpora: leaves none of {', '.join(there)} to train on")


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


def _smallest(rows: pd.DataFrame) -> pd.Series:
    """Return what may be drawn by itself: a speaker, or an utterance of one who is unknown."""
    return rows["speaker"].where(rows["speaker"] != "", rows["utterance"])


def _drawn(rows: pd.DataFrame, groups: pd.Series, settings: Partition, key: str) -> pd.Series:
    if groups.nunique() < 3:
        raise UserError(f"{key}.strategy: {settings.strategy} needs 3 groups or more, here are {groups.nunique()}")
    tested = rows.index.isin(_draw(rows, groups, settings.fractions[2], 2, settings.seed))
    return _with_dev(rows, groups, tested, settings)


def _fold(rows: pd.DataFrame, groups: pd.Series, folds: int | None, settings: Partition, key: str) -> pd.Series:
    """GroupScores in order, in contiguous folds (None: as many as groups); one is the test set."""
    names = sorted(groups.unique())
    folds = folds or len(names)
    if folds > len(names):
        raise UserError(f"{key}.folds: {folds}, but there are {len(names)} speakers")
    if settings.fold >= folds:
        raise UserError(f"{key}.fold: {settings.fold}; with {folds} folds choose 0 to {folds - 1}")
    return _with_dev(rows, groups, groups.isin(np.array_split(names, folds)[settings.fold]), settings)


def _official(rows: pd.DataFrame, settings: Partition, key: str) -> pd.Series:
    """The corpus's own split; a corpus without one is split by speaker, or at random where none is known."""
    sets = rows["split"].copy()
    for corpus, own in rows.groupby("corpus", sort=True):
        given = set(own["split"]) - {""}
        groups = own["speaker"] if (own["speaker"] != "").all() else own["utterance"]
        if not given:
            sets[own.index] = _drawn(own, groups, settings, key)
        elif "" in set(own["split"]):
            raise UserError(f"{key}.strategy: official: {corpus} gives a split for some rows and not for others")
        elif "train" in given and "dev" not in given:
            sets[own.index] = _with_dev(own, groups, own["split"] == "test", settings)
    return sets


def _with_dev(rows: pd.DataFrame, groups: pd.Series, tested: pd.Series | np.ndarray, settings: Partition) -> pd.Series:
    """Return the sets, given which rows are the test set: dev is drawn from the others, if they can be divided."""
    train, dev, _ = settings.fractions
    sets = pd.Series("train", index=rows.index)
    sets[tested] = "test"
    rest = sets.index[sets == "train"]
    if groups[rest].nunique() > 1:
        sets[_draw(rows.loc[rest], groups[rest], dev / (train + dev), 1, settings.seed)] = "dev"
    return sets


def _draw(rows: pd.DataFrame, groups: pd.Series, share: float, spare: int, seed: int) -> pd.Index:
    """Return the rows of whole groups: about ``share`` of every emotion, in all and of every corpus and sex.

    Sex is balanced because it shifts what emotions sound like: a model that hardly heard women in training
    would be judged on women alone. ``spare`` groups are left in any case.
    """
    strata = [rows["emotion"], rows["corpus"] + "/" + rows["sex"] + "/" + rows["emotion"]]
    codes = [pd.factorize(stratum, sort=True)[0] for stratum in strata]
    number = min(max(1, round(share * groups.nunique())), groups.nunique() - spare)
    splitter = GroupShuffleSplit(n_splits=CANDIDATES, test_size=number, random_state=seed)
    candidates = (chosen for _, chosen in splitter.split(rows, groups=groups))
    return rows.index[min(candidates, key=lambda chosen: sum(_imbalance(code, chosen, share) for code in codes))]


def _imbalance(codes: np.ndarray, chosen: np.ndarray, share: float) -> float:
    """Return how far the strata numbered by ``codes`` are from having ``share`` of their rows chosen."""
    totals = np.bincount(codes)
    counts = np.bincount(codes[chosen], minlength=len(totals))
    # Relative to the stratum's size, so that a rare one counts as much as a common one; one that is wholly
    # on one side cannot be learnt or cannot be scored, which is worse than any unevenness.
    one_sided = (counts == 0) | (counts == totals)
    return float((np.abs(counts / totals - share) + one_sided).sum())
