"""The field's classical baseline: eGeMAPS functionals and logistic regression.

88 statistics of pitch, loudness, spectrum and voice quality of an utterance (Eyben et al., "The Geneva minimalistic
acoustic parameter set (GeMAPS) for voice research and affective computing", IEEE Transactions on Affective Computing
7, 2016), by the package opensmile. Its licence, audEERING's Research License, excludes commercial products, so the
package is not among the requirements.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import SAMPLE_RATE, SETS
from emopipe.scoring.classification import unweighted_average_recall
from emopipe.scoring.intervals import Interval
from emopipe.trust.shortcuts import classifier, uar

FEATURES = 88
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # C, the inverse of the regularisation


def egemaps(recordings: Iterable[np.ndarray]) -> np.ndarray:
    """Return the eGeMAPSv02 functionals of recordings, finite: [recordings, 88].

    Args:
        recordings: at 16 kHz, full scale ±1, [samples] each; one that is too short for a functional has 0 there

    Raises:
        UserError: if the package opensmile is not installed
    """
    try:
        import opensmile
    except ImportError:
        raise UserError(
            "the eGeMAPS baseline: no package opensmile, which is free for research but not for commercial products "
            "(audEERING Research License); if that suits you, `pip install opensmile`"
        ) from None
    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Segment too short")
        waves = (np.asarray(one, dtype=np.float32) for one in recordings)
        found = [smile.process_signal(wave, SAMPLE_RATE).to_numpy()[0] for wave in waves]
    return np.nan_to_num(np.reshape(found, (-1, FEATURES)).astype(np.float64), posinf=0.0, neginf=0.0)


class Classical(NamedTuple):
    """The baseline's answers for the test set, and how right they are."""

    strength: float  # C, chosen on dev
    dev_uar: float  # with it, trained on the training set alone
    prediction: np.ndarray  # of the test utterances, in their order
    uar: Interval  # of these


def classical(features: np.ndarray, rows: pd.DataFrame) -> Classical:
    """Return what logistic regression makes of features: trained on train and dev, once dev has chosen how.

    Args:
        features: [utterances, features]
        rows: ``split``, ``emotion`` and ``speaker`` of each; of every utterance the emotion is known
    """
    emotions = rows["emotion"].to_numpy(dtype=str)
    train, dev, test = ((rows["split"] == name).to_numpy() for name in SETS)

    def answers(strength: float, fitted: np.ndarray, predicted: np.ndarray) -> np.ndarray:
        model = make_pipeline(StandardScaler(), classifier(strength))
        return model.fit(features[fitted], emotions[fitted]).predict(features[predicted])

    scores = {one: unweighted_average_recall(emotions[dev], answers(one, train, dev)) for one in STRENGTHS}
    best = max(scores, key=scores.get)  # of equals the strongest regularisation
    prediction = answers(best, train | dev, test)
    return Classical(best, scores[best], prediction, uar(rows[test], prediction))
