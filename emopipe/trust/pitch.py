"""The pitch of speakers: low, medium or high, by the mean fundamental frequency (F0) of their utterances.

F0 is that of Praat, with its standard settings (autocorrelation, 75 to 600 Hz; Boersma, "Accurate short-term analysis
of the fundamental frequency", IFA Proceedings 17, 1993), by the package praat-parselmouth. That is under the GPL, so it
is not among the package's own requirements. Groups and limits are those of the published suite
(:mod:`emopipe.trust.results`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas.manifest import SAMPLE_RATE

PLAUSIBLE = (50.0, 350.0)  # Hz; another mean of an utterance is taken for a mistake
FLOOR = 75.0  # Hz, Praat's, of whose period a frame holds three
MEASURED = 25  # utterances of a speaker with an F0, by which the speaker has a pitch
LOW, MEDIUM = 145.0, 190.0  # Hz, the highest mean of either group


def mean_f0(samples: np.ndarray) -> float:
    """Return the mean F0 of the voiced frames of an utterance, in Hz; NaN where there is none that is plausible.

    Args:
        samples: at 16 kHz, full scale ±1, [samples]

    Raises:
        UserError: if the package praat-parselmouth is not installed
    """
    try:
        import parselmouth
    except ImportError:
        raise UserError(
            "fairness by pitch: no package praat-parselmouth (GPL-3.0); `pip install praat-parselmouth`"
        ) from None
    if len(samples) <= 3 / FLOOR * SAMPLE_RATE:  # shorter than one frame, which Praat refuses
        return math.nan
    pitch = parselmouth.Sound(np.asarray(samples, dtype=np.float64), SAMPLE_RATE).to_pitch()
    voiced = pitch.selected_array["frequency"]
    voiced = voiced[voiced > 0]
    mean = float(voiced.mean()) if len(voiced) else math.nan
    return mean if PLAUSIBLE[0] <= mean <= PLAUSIBLE[1] else math.nan


def pitch_groups(speakers: Sequence[str], f0: np.ndarray) -> np.ndarray:
    """Return the pitch of the speaker of each utterance: low, medium, high, or '' where it is not known: [utterances].

    It is not known of utterances without an F0, and of speakers with fewer than :data:`MEASURED` others.

    Args:
        speakers: [utterances], empty where not known
        f0: mean of each utterance in Hz, NaN where there is none, [utterances]

    >>> pitch_groups(["s/1"] * 25 + ["s/2"] * 25 + ["s/3"], np.repeat([145.0, 200.0, 100.0], [25, 25, 1]))[[0, 25, 50]]
    array(['low', 'high', ''], dtype=object)
    """
    own = pd.DataFrame({"speaker": list(speakers), "f0": np.asarray(f0, dtype=np.float64)})
    known = own["f0"].notna() & (own["speaker"] != "")
    measured = own["f0"].where(known).groupby(own["speaker"])
    mean = measured.transform("mean").where(known & (measured.transform("count") >= MEASURED))
    found = np.full(len(own), "", dtype=object)
    found[mean <= LOW] = "low"
    found[(mean > LOW) & (mean <= MEDIUM)] = "medium"
    found[mean > MEDIUM] = "high"
    return found
