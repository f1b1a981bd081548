"""Test sets with known answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from emopipe.schemas import predictions
from emopipe.scoring.targets import EmotionTarget, VadTarget


def _rows(speakers, **columns):
    number = np.arange(len(speakers))
    rows = {"utterance": [f"c/{i:05}" for i in number], "corpus": "c", "speaker": speakers, "sex": "", "language": ""}
    return pd.DataFrame(rows | columns)


@pytest.fixture(scope="session")
def emotion_target():
    """Return a function from truth, prediction and speakers, and other columns, to a target."""

    def make(truth, prediction, speakers=None, **columns):
        rows = _rows(speakers if speakers is not None else [""] * len(truth), emotion=truth, **columns)
        return EmotionTarget.of(predictions.emotion_table(rows, "audio", "trained", prediction))

    return make


@pytest.fixture(scope="session")
def vad_target():
    """Return a function from truth and prediction, [utterances, dimensions] on 0 to 1, to a target on 1 to 5."""

    def make(truth, prediction, speakers=None, names=("valence",), **columns):
        truth, prediction = (1 + 4 * np.reshape(values, (-1, len(names))) for values in (truth, prediction))
        rows = _rows(speakers if speakers is not None else [""] * len(truth), **columns)
        rows[list(names)] = truth
        return VadTarget.of(predictions.vad_table(rows, "audio", "trained", prediction, names))

    return make


@pytest.fixture(scope="session")
def only():
    """Return a function from results, and values of their fields, to the one result that has them."""

    def find(results, **fields):
        found = [one for one in results if all(getattr(one, name) == value for name, value in fields.items())]
        assert len(found) == 1, found
        return found[0]

    return find
