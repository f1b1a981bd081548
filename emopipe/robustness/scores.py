"""How much a condition changes: the score beside that of the clean test set, and the answers one by one.

Whether a condition is passed says the threshold that was published with it (:mod:`emopipe.conditions.catalogue`); of
several dimensions each must pass. As in the published suite, values are rounded to two decimals before they are
compared, and an answer is unchanged if the emotion is the same, or a dimension moved by less than 5 % of the scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from emopipe.conditions.catalogue import CONDITIONS
from emopipe.recognition.abstention import Abstention
from emopipe.robustness.reference import corruption_errors
from emopipe.schemas.predictions import METADATA, PROBABILITY
from emopipe.schemas.robustness import CLEAN
from emopipe.scoring.paired import Difference
from emopipe.scoring.targets import EmotionTarget, Target, VadTarget

SCALE = 4.0  # from 1 to 5
MOVED = 0.05  # of the scale
DECIMALS = 2
SIGNS = {"confidence": 1, "energy": 1, "spread": -1}  # of what is higher where the model is sure


def target_of(test: pd.DataFrame, answers: Mapping[tuple[str, str], pd.DataFrame]) -> Target:
    """Return the test set with the answers under each condition, as those of so many models.

    Args:
        test: rows of the split, with their truth
        answers: by condition and level, :data:`~emopipe.schemas.robustness.CLEAN` among them, each in the order of
            ``test``
    """
    clean, models = answers[CLEAN], {_model(*condition): own for condition, own in answers.items()}
    who = test[["utterance", *METADATA]].reset_index(drop=True)
    if "emotion" not in clean:
        names = [name for name in clean.columns if name != "spread"]
        return VadTarget(
            who, names, test[names].to_numpy(), {name: own[names].to_numpy() for name, own in models.items()}
        )
    truth = test["emotion"].to_numpy(dtype=object)
    known = [name.removeprefix(PROBABILITY) for name in clean.columns if name.startswith(PROBABILITY)]
    labels = sorted({*known, *truth})
    columns = [f"{PROBABILITY}{label}" for label in labels]
    emotions = {name: own["emotion"].to_numpy(dtype=object) for name, own in models.items()}
    chances = {name: own.reindex(columns=columns).fillna(0.0).to_numpy() for name, own in models.items()}
    return EmotionTarget(who, truth, emotions, labels, chances)


def _model(name: str, level: str) -> str:
    return f"{name}/{level}"


def scores(target: Target, conditions: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the scores of the clean test set and of each condition and level.

    Returns:
        ``score``, which it is: UAR, or the mean CCC of the dimensions; ``clean``; ``conditions``: by name and level
        ``score``, ``change`` with the 95 % interval over speakers from ``low`` to ``high``, ``unchanged`` (share of the
        answers; of several dimensions the lowest), of a classification ``ece``, and where thresholds are published
        these and ``passed``; ``summary``: the number of ``tested`` and ``passed`` thresholds, and the mean change by
        group of conditions; of IEMOCAP ``beside_robuser``: :func:`emopipe.robustness.reference.corruption_errors`
    """
    headline = "uar" if isinstance(target, EmotionTarget) else "ccc.mean"
    clean = target.scores(_model(*CLEAN))
    found: dict[str, Any] = {}
    for name, level in conditions:
        found.setdefault(name, {})[level] = _condition(target, headline, name, level)
    every = [(CONDITIONS[name].group, one) for name, levels in found.items() for one in levels.values()]
    judged = [one["passed"] for _, one in every if "passed" in one]
    groups = dict.fromkeys(group for group, _ in every)
    beside = corruption_errors(target, conditions)
    return {
        "score": headline,
        "clean": {"score": clean[headline]} | ({"ece": clean["ece"]} if "ece" in clean else {}),
        "conditions": found,
        "summary": {
            "tested": len(judged),
            "passed": sum(judged),
            "mean_change": {
                group: float(np.mean([one["change"] for own, one in every if own == group])) for group in groups
            },
        },
    } | ({"beside_robuser": beside} if beside else {})


def _condition(target: Target, headline: str, name: str, level: str) -> dict[str, Any]:
    model, condition = _model(name, level), CONDITIONS[name]
    own, differences = target.scores(model), target.differences([model], [_model(*CLEAN)])
    change = differences[headline]
    found: dict[str, Any] = {"score": own[headline], "change": change.value, "low": change.low, "high": change.high}
    found["unchanged"] = float(_unchanged(target, model).min())
    if "ece" in own:
        found["ece"] = own["ece"]
    is_uar = headline == "uar"
    thresholds = {
        "change": condition.change_uar if is_uar else condition.change_ccc,
        "unchanged": condition.unchanged,
    }
    thresholds = {what: value for what, value in thresholds.items() if value is not None}
    if thresholds:
        reached = {"change": _lowest(differences, headline), "unchanged": found["unchanged"]}
        found["thresholds"] = thresholds
        found["passed"] = all(round(reached[what], DECIMALS) > value for what, value in thresholds.items())
    return found


def _lowest(differences: Mapping[str, Difference], headline: str) -> float:
    """Return the change of the score that lost most."""
    group = headline.removesuffix("mean")
    return min(difference.value for name, difference in differences.items() if name.startswith(group))


def _unchanged(target: Target, model: str) -> np.ndarray:
    """Return the share of unchanged answers, [1] or [dimensions]."""
    before, after = target.predictions[_model(*CLEAN)], target.predictions[model]
    if isinstance(target, EmotionTarget):
        return np.mean(before == after, axis=0, keepdims=True)
    return np.mean(np.abs(after - before) / SCALE < MOVED, axis=0)


def unknown(
    clean: pd.DataFrame, answers: Mapping[str, pd.DataFrame], abstention: Abstention | None
) -> dict[str, dict[str, Any]]:
    """Return how sure the model is of sounds that are no speech, beside how sure it is of the test set.

    Args:
        clean: answers for the test set
        answers: to the sounds, by kind
        abstention: by which answers are withheld; None: the model tells nothing that a threshold could be set by

    Returns:
        by kind ``auroc``: of the confidence, of the energy, and of the agreement of the members (less ``spread``), the
        area under the ROC for telling the test set from the sounds, 0.5 by chance; of a classification ``confidence``,
        its mean; with an abstention ``answered``, the share of the sounds that are answered all the same
    """
    found: dict[str, dict[str, Any]] = {}
    for kind, own in answers.items():
        is_speech = np.repeat([True, False], [len(clean), len(own)])
        signs = {name: sign for name, sign in SIGNS.items() if name in own and clean[name].nunique() > 1}
        found[kind] = {
            "auroc": {
                name: float(roc_auc_score(is_speech, sign * np.concatenate([clean[name], own[name]])))
                for name, sign in signs.items()
            }
        }
        if "confidence" in own:
            found[kind]["confidence"] = float(own["confidence"].mean())
        if abstention is not None:
            rows = [abstention(row) for row in own.assign(status="ok").to_dict("records")]
            found[kind]["answered"] = float(np.mean([row["status"] == "ok" for row in rows]))
    return found
