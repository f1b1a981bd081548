"""How a model on IEMOCAP compares under conditions with RobuSER's baseline, whose errors are published.

The corruption error of a condition is the sum of a model's errors over its levels beside that of the baseline, in
percent; the relative one that of what the errors gain on clean recordings (after Hendrycks and Dietterich,
"Benchmarking neural network robustness to common corruptions and perturbations", ICLR 2019). Below 100 is better than
the baseline.

Baseline: BehavioralSignalTechnologies/ser_robustness, results/iemocap_baseline_metrics.json: four emotions, excitement
counted as happiness, ten folds of speakers; error is that of the accuracy (WA). Its noises of recorded sounds are not
among the conditions here.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from emopipe.schemas.robustness import CLEAN
from emopipe.scoring.targets import EmotionTarget, Target

CORPUS, EMOTIONS = "iemocap", ("anger", "happiness", "neutral", "sadness")
BASELINE_CLEAN = 21.64  # %
BASELINE = {  # errors in %, by condition, in the order of its levels
    "gaussian_noise": {"30dB": 24.70, "20dB": 28.57, "10dB": 39.81},
    "room": {"0.1-0.5s": 31.35, "0.5-1s": 34.04, "1-1.5s": 41.51},
    "clipping": {"20%": 25.20, "40%": 31.77, "60%": 39.74},
    "gain_transition": {"-20to0dB": 22.15, "-30to-10dB": 22.44, "-40to-20dB": 24.82},
    "mp3": {"32kbps": 22.13, "16kbps": 23.23, "8kbps": 31.28},
}


def corruption_errors(target: Target, conditions: Collection[tuple[str, str]]) -> dict[str, dict[str, float]]:
    """Return the corruption errors of a model that was tested on IEMOCAP.

    Args:
        target: its test set, with the answers under each condition as those of models ``NAME/LEVEL``
        conditions: that were tested

    Returns:
        ``absolute`` and ``relative``: in percent by condition, and their ``mean``; empty where the corpus or the
        emotions are others, or no condition was tested at all of its levels
    """
    if not isinstance(target, EmotionTarget) or set(target.utterances["corpus"]) != {CORPUS}:
        return {}
    if tuple(target.labels) != EMOTIONS:
        return {}
    whole = [name for name, levels in BASELINE.items() if all((name, level) in conditions for level in levels)]
    clean = _error(target, *CLEAN)
    found: dict[str, dict[str, float]] = {"absolute": {}, "relative": {}}
    for name in whole:
        own = np.array([_error(target, name, level) for level in BASELINE[name]])
        published = np.array(list(BASELINE[name].values()))
        found["absolute"][name] = float(100 * own.sum() / published.sum())
        found["relative"][name] = float(100 * (own - clean).sum() / (published - BASELINE_CLEAN).sum())
    return {kind: own | {"mean": float(np.mean(list(own.values())))} for kind, own in found.items() if own}


def _error(target: EmotionTarget, name: str, level: str) -> float:
    return 100 * (1 - target.scores(f"{name}/{level}")["accuracy"])
