"""What the page is told of a model."""

from __future__ import annotations

import json

import numpy as np

from emopipe.page.facts import LEVELS, describe, shares_answered
from emopipe.recognition.segmentation import Cutting
from emopipe.recognition.speech import Recognizer
from emopipe.schemas.dev_answers import DevAnswers


def test_the_share_that_is_answered_is_that_of_speakers_who_count_alike():
    probabilities = np.array([[0.9, 0.1], [0.7, 0.3], [0.5, 0.5], [0.2, 0.8]])
    dev = DevAnswers(probabilities, np.zeros(4, np.int64), np.array([0, 0, 0, 1]))
    shares = dict(zip(LEVELS.tolist(), shares_answered(dev), strict=True))
    expected = {0.0: 1, 0.5: 1, 0.51: 5 / 6, 0.7: 5 / 6, 0.75: 4 / 6, 0.85: 1 / 6, 0.9: 1 / 6, 0.91: 0, 1.0: 0}
    np.testing.assert_allclose([shares[level] for level in expected], list(expected.values()), atol=1e-4)


def test_a_model_is_described(model):
    recognizer = Recognizer.load(model, device="cpu")
    told = describe(recognizer)
    assert told["labels"] == recognizer.trained.task.names and told["max_seconds"] == 1
    assert told["about"]["trained_on"] == ["synthetic"] and len(told["answered"]) == 101
    assert told["cutting"]["min_silence"] == Cutting().min_silence and told["answered"][0] == 1
    assert str(model.parent) not in json.dumps(told) and "/networks" not in json.dumps(told)
    assert any("no ground for a decision" in limit for limit in told["limits"])
