"""Is a model right on a labelled test set: on the whole, for every class, for every speaker?

The correctness tests of the published suite (:mod:`emopipe.trust.results`). Dimensions are compared on the scale of 0
to 1, v being (v − 1) / 4 of the pipeline's scale of 1 to 5. Five places in which the published code and its
documentation differ, or the code slips, are decided thus:

* consistency: a neutral value lies within 0.3 to 0.6, as documented; the code takes 0.3 to 0.7;
* distribution of a dimension: ten bins from 0 to 1, as documented; the code's edges end at 0.9, and drop what is above;
  here what lies outside of 0 to 1 counts in the nearest bin;
* speaker ranking: ρ above 0.7; the code takes |ρ|, by which a ranking upside down passes;
* speakers need eight utterances of every class, as in code and documentation: shares of fewer are mostly chance;
* a class of fewer than :data:`LEAST` utterances is not judged at all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.spatial.distance import jensenshannon
from scipy.stats import rankdata
from sklearn.metrics import precision_score

from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import TRAINED
from emopipe.scoring.bootstrap import regression_intervals
from emopipe.scoring.groups import LEAST
from emopipe.scoring.regression import pearson_cc
from emopipe.scoring.targets import EmotionTarget, VadTarget
from emopipe.trust.results import Result, Rule, judged, not_applicable

CLASSIFICATION, REGRESSION = "correctness_classification", "correctness_regression"
DISTRIBUTION, CONSISTENCY = "correctness_distribution", "correctness_consistency"
SPEAKER_AVERAGE, SPEAKER_RANKING = "correctness_speaker_average", "correctness_speaker_ranking"

BINS = 10  # of the distribution of a dimension
PER_SPEAKER, PER_SPEAKER_AND_CLASS = 10, 8  # utterances of a speaker, by which the speaker counts
# Speakers of a ranking: of six in any order ρ is above 0.7 more often than once in twenty times, of seven less often.
RANKED = 7

# Which emotions have a high, low or neutral value of a dimension, and where that lies on the scale of 0 to 1
RANGES = {"high": (0.55, np.inf), "low": (-np.inf, 0.45), "neutral": (0.3, 0.6)}
EXPECTED: dict[str, dict[str, tuple[str, ...]]] = {
    "valence": {
        "high": ("happiness",),
        "low": ("anger", "disgust", "fear", "frustration", "sadness"),
        "neutral": ("boredom", "neutral"),
    },
    "arousal": {
        "high": ("anger", "fear", "surprise"),
        "low": ("boredom", "sadness"),
        "neutral": ("neutral",),
    },
    "dominance": {
        "high": ("anger",),
        "low": ("fear", "sadness"),
        "neutral": ("happiness", "neutral", "surprise"),
    },
}


def unit(values: np.ndarray) -> np.ndarray:
    """Return valence, arousal or dominance of the scale of 1 to 5 on that of 0 to 1.

    >>> unit(np.array([1.0, 3.0, 5.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return (np.asarray(values, dtype=np.float64) - 1) / 4


def emotions(target: EmotionTarget, model: str = TRAINED) -> list[Result]:
    """Return the tests of the emotions that a model answers.

    Args:
        target: the test set, with at least one utterance
        model: one of the target's
    """
    labels = sorted({*target.truth, *target.predictions[model]})
    truth, prediction = (
        np.column_stack([answers == label for label in labels]).astype(np.float64)
        for answers in (target.truth, target.predictions[model])
    )
    shares = abs(prediction.mean(0) - truth.mean(0))
    return [
        *_classification(target, model),
        *(
            judged(DISTRIBUTION, "share", share, "<", 0.15, len(truth), subject=label)
            for label, share in zip(labels, shares, strict=True)
        ),
        *_speakers(target.utterances["speaker"], truth, prediction, labels, truth.any(0)),
    ]


def dimensions(target: VadTarget, model: str = TRAINED) -> list[Result]:
    """Return the tests of the valence, arousal and dominance that a model answers.

    Args:
        target: the test set
        model: one of the target's
    """
    truth, prediction = unit(target.truth), unit(target.predictions[model])
    number = len(target.utterances)
    if number < LEAST:
        note = f"{number} utterances, fewer than {LEAST}"
        return [not_applicable(REGRESSION, "ccc", ">", number, note, subject=name) for name in target.dimensions]
    intervals = regression_intervals(truth, prediction, target.utterances["speaker"], target.dimensions)
    rules: dict[str, tuple[Rule, float]] = {"ccc": (">", 0.5), "pcc": (">", 0.5), "mae": ("<", 0.1)}
    found = []
    for i, name in enumerate(target.dimensions):
        for score, (rule, threshold) in rules.items():
            one = intervals[score][name]
            found.append(judged(REGRESSION, score, one.value, rule, threshold, number, subject=name, interval=one))
        distance = _distance(truth[:, i], prediction[:, i])
        found.append(judged(DISTRIBUTION, "jensen_shannon", distance, "<", 0.2, number, subject=name))
    return found + _speakers(target.utterances["speaker"], truth, prediction, target.dimensions)


def consistency(predicted: pd.DataFrame) -> list[Result]:
    """Return the tests of predicted dimensions against what is known of the emotions they were predicted of.

    Three quarters of the utterances of an emotion must have a value where the literature expects it; emotions of which
    it says nothing clear are left out.

    Args:
        predicted: ``emotion``, and the predicted ones of valence, arousal and dominance on the scale of 1 to 5, as a
            table of :class:`emopipe.schemas.vad.PredictedVad`
    """
    found = []
    for name in (name for name in DIMENSIONS if name in predicted):
        for place, labels in EXPECTED[name].items():
            low, high = RANGES[place]
            for label in (label for label in labels if (predicted["emotion"] == label).any()):
                values = unit(predicted.loc[predicted["emotion"] == label, name].dropna().to_numpy())
                about = {"subject": name, "group": label}
                if len(values) < LEAST:
                    note = f"{len(values)} utterances, fewer than {LEAST}"
                    found.append(not_applicable(CONSISTENCY, f"in_{place}_range", ">", len(values), note, **about))
                    continue
                share = float(((values >= low) & (values <= high)).mean())
                note = "neutral: 0.3 to 0.6" if place == "neutral" else ""
                found.append(
                    judged(CONSISTENCY, f"in_{place}_range", share, ">", 0.75, len(values), note=note, **about)
                )
    return found


def _classification(target: EmotionTarget, model: str) -> list[Result]:
    truth, prediction = target.truth.astype(str), target.predictions[model].astype(str)
    intervals, labels = target.intervals(model), sorted(set(truth))
    precisions = precision_score(truth, prediction, labels=labels, average=None, zero_division=0)
    uar = intervals["uar"]
    found = [
        judged(CLASSIFICATION, "uar", uar.value, ">", 0.5, len(truth), interval=uar),
        judged(CLASSIFICATION, "uap", float(precisions.mean()), ">", 0.5, len(truth)),
    ]
    for label, precision in zip(labels, precisions, strict=True):
        actual, answered = int((truth == label).sum()), int((prediction == label).sum())
        if actual < LEAST:
            note = f"{actual} utterances, fewer than {LEAST}"
            found += [
                not_applicable(CLASSIFICATION, score, ">", actual, note, subject=label)
                for score in ("recall", "precision")
            ]
            continue
        recall, note = intervals[f"recall.{label}"], "" if answered else "never answered"
        found += [
            judged(CLASSIFICATION, "recall", recall.value, ">", 0.5, actual, subject=label, interval=recall),
            judged(CLASSIFICATION, "precision", float(precision), ">", 0.5, answered, subject=label, note=note),
        ]
    return found


def _distance(truth: np.ndarray, prediction: np.ndarray) -> float:
    """Return the Jensen-Shannon distance of two distributions over 0 to 1, to base 2: from 0 to 1."""
    counts = [np.histogram(np.clip(values, 0, 1), BINS, (0, 1))[0] for values in (truth, prediction)]
    return float(jensenshannon(*counts, base=2))


def _speakers(
    speakers: pd.Series,
    truth: np.ndarray,
    prediction: np.ndarray,
    names: Sequence[str],
    required: np.ndarray | None = None,
) -> list[Result]:
    """Return the tests of the speakers' mean values, and of their order by these.

    Args:
        speakers: [utterances], empty where not known
        truth: [utterances, names]
        prediction: likewise
        names: of dimensions; or of classes, whose values are 1 or 0
        required: which classes a speaker must have enough utterances of, [names]; None: of dimensions
    """
    own = speakers.mask(speakers == "").to_numpy()
    sums = pd.DataFrame(truth).groupby(own).sum()
    wanted = f"{PER_SPEAKER} utterances"
    enough = pd.Series(own).value_counts().reindex(sums.index) >= PER_SPEAKER
    if required is not None:
        wanted += f" and {PER_SPEAKER_AND_CLASS} of every class"
        enough &= (sums.loc[:, required] >= PER_SPEAKER_AND_CLASS).all(axis=1)
    number = int(enough.sum())
    note = f"{number} of {len(sums)} speakers have {wanted}"
    actual, answered = (
        pd.DataFrame(values).groupby(own).mean().to_numpy()[enough.to_numpy()] for values in (truth, prediction)
    )
    found = []
    for i, name in enumerate(names):
        if number:
            error = float(abs(actual[:, i] - answered[:, i]).mean())
            found.append(judged(SPEAKER_AVERAGE, "mae", error, "<", 0.1, number, subject=name, note=note))
        else:
            found.append(not_applicable(SPEAKER_AVERAGE, "mae", "<", 0, note, subject=name))
        # of means that differ by rounding alone, none is the higher one
        ranks = [rankdata(means[:, i].round(9)) for means in (actual, answered)]
        if number < RANKED:
            why = f"{note}, a ranking needs {RANKED}"
        elif np.ptp(ranks[0]) == 0:
            why = "the speakers do not differ in truth"
        else:
            found.append(
                judged(SPEAKER_RANKING, "spearman", pearson_cc(*ranks), ">", 0.7, number, subject=name, note=note)
            )
            continue
        found.append(not_applicable(SPEAKER_RANKING, "spearman", ">", number, why, subject=name))
    return found
