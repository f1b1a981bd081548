"""Who is trained on, who picks the epoch, and who is tested on."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit

from stages.contracts.errors import UserError
from stages.contracts.parameters import Partition

CANDIDATES = 300  # random draws of speakers, of which the best balanced is taken


def assign(rows: pd.DataFrame, settings: Partition, key: str) -> pd.Series:
    """Return the set of every row: train, dev or test.

    Args:
        rows: utterances with columns ``corpus``, ``speaker``, ``sex``, ``emotion`` and ``split`` (the official one)
        settings: strategy, fractions and seed
        key: the group's name in params.yaml, for messages

    Raises:
        UserError: if the corpora lack what the strategy needs
    """
    match settings.strategy:
        case "speaker":
            return _by_group(rows, _speakers(rows, key), settings, key)
        case "speaker_folds":
            return _fold(rows, _speakers(rows, key), settings, key)
        case "random":
            return _by_group(rows, rows["utterance"], settings, key)
        case "official":
            return _official(rows, settings, key)


def _speakers(rows: pd.DataFrame, key: str) -> pd.Series:
    unknown = rows.loc[rows["speaker"] == "", "corpus"].unique()
    if len(unknown):
        raise UserError(f"{key}.strategy: the speakers of {', '.join(unknown)} are unknown; choose random or official")
    return rows["speaker"]


def _by_group(rows: pd.DataFrame, groups: pd.Series, settings: Partition, key: str) -> pd.Series:
    train, dev, test = settings.fractions
    if groups.nunique() < 3:
        raise UserError(f"{key}.strategy: {settings.strategy} needs 3 groups or more, here are {groups.nunique()}")
    sets = pd.Series("train", index=rows.index)
    sets[_draw(rows, groups, test, settings.seed)] = "test"
    rest = sets.index[sets == "train"]
    sets[_draw(rows.loc[rest], groups[rest], dev / (train + dev), settings.seed)] = "dev"
    return sets


def _fold(rows: pd.DataFrame, speakers: pd.Series, settings: Partition, key: str) -> pd.Series:
    """Speakers in order, in contiguous groups; one group is the test set, and dev is drawn from the others."""
    names = sorted(speakers.unique())
    if settings.folds > len(names):
        raise UserError(f"{key}.folds: {settings.folds}, but there are {len(names)} speakers")
    if settings.fold >= settings.folds:
        raise UserError(f"{key}.fold: {settings.fold}; with {settings.folds} folds choose 0 to {settings.folds - 1}")
    train, dev, _ = settings.fractions
    sets = pd.Series("train", index=rows.index)
    sets[speakers.isin(np.array_split(names, settings.folds)[settings.fold])] = "test"
    rest = sets.index[sets == "train"]
    sets[_draw(rows.loc[rest], speakers[rest], dev / (train + dev), settings.seed)] = "dev"
    return sets


def _official(rows: pd.DataFrame, settings: Partition, key: str) -> pd.Series:
    """The corpus's own split; a corpus without one is split by speaker, or at random where none is known."""
    sets = rows["split"].copy()
    for corpus, own in rows.groupby("corpus", sort=True):
        given = set(own["split"]) - {""}
        groups = own["speaker"] if (own["speaker"] != "").all() else own["utterance"]
        if not given:
            sets[own.index] = _by_group(own, groups, settings, key)
        elif "" in set(own["split"]):
            raise UserError(f"{key}.strategy: official: {corpus} gives a split for some rows and not for others")
        elif "dev" not in given:
            train, dev, _ = settings.fractions
            rest = own.index[own["split"] == "train"]
            sets[_draw(own.loc[rest], groups[rest], dev / (train + dev), settings.seed)] = "dev"
    return sets


def _draw(rows: pd.DataFrame, groups: pd.Series, share: float, seed: int) -> pd.Index:
    """Return the rows of whole groups: about ``share`` of every emotion, in all and of every corpus and sex.

    Sex is balanced because it shifts what emotions sound like: a model that hardly heard women in training
    would be judged on women alone.
    """
    strata = [rows["emotion"], rows["corpus"] + "/" + rows["sex"] + "/" + rows["emotion"]]
    codes = [pd.factorize(stratum, sort=True)[0] for stratum in strata]
    number = max(1, round(share * groups.nunique()))
    splitter = GroupShuffleSplit(n_splits=CANDIDATES, test_size=number, random_state=seed)
    candidates = [chosen for _, chosen in splitter.split(rows, groups=groups)]
    return rows.index[min(candidates, key=lambda chosen: sum(_imbalance(code, chosen, share) for code in codes))]


def _imbalance(codes: np.ndarray, chosen: np.ndarray, share: float) -> float:
    """Return how far the strata numbered by ``codes`` are from having ``share`` of their rows chosen."""
    totals = np.bincount(codes)
    counts = np.bincount(codes[chosen], minlength=len(totals))
    # Relative to the stratum's size, so that a rare one counts as much as a common one; one that is wholly
    # on one side cannot be learnt or cannot be scored, which is worse than any unevenness.
    one_sided = (counts == 0) | (counts == totals)
    return float((np.abs(counts / totals - share) + one_sided).sum())
