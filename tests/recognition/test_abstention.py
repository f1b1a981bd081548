"""A model says when it is not certain, and what it cannot rule out, as often as it was asked to."""

from __future__ import annotations

import numpy as np
import pytest

from emopipe.audio.model import Trained
from emopipe.io.errors import UserError
from emopipe.recognition.abstention import Abstention
from emopipe.schemas.dev_answers import DevAnswers

LABELS = ["anger", "joy", "neutral", "sadness"]


def answers(seed: int, speakers: int = 20, each: int = 30) -> DevAnswers:
    """Return calibrated answers for as many utterances of every speaker."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet([0.4] * 4, speakers * each)
    targets = np.array([generator.choice(4, p=row) for row in probabilities])
    return DevAnswers(probabilities, targets, np.repeat(np.arange(speakers), each))


def model(dev, temperature=1.0) -> Trained:
    return Trained(None, None, None, None, {}, temperature, [1], dev)


def rows(found: DevAnswers):
    for own in found.probabilities:
        best = int(own.argmax())
        chances = {f"p_{label}": float(chance) for label, chance in zip(LABELS, own, strict=True)}
        yield {"emotion": LABELS[best], "confidence": float(own[best])} | chances | {"status": "ok", "reason": ""}


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 1.0])
def test_as_many_are_answered_as_were_asked_for_the_least_certain_are_not(coverage):
    dev, new = answers(0), answers(1)
    abstain = Abstention.of(model(dev), coverage=coverage)
    own = [abstain(row) for row in rows(dev)]
    answered = np.array([row["status"] == "ok" for row in own])
    assert coverage <= answered.mean() < coverage + 0.01
    confidences = np.array([row["confidence"] for row in own])
    assert answered.all() or confidences[answered].min() > confidences[~answered].max()
    assert np.mean([abstain(row)["status"] == "ok" for row in rows(new)]) == pytest.approx(coverage, abs=0.05)
    for before, after in zip(rows(dev), own, strict=True):
        if after["status"] == "abstained":
            assert after["emotion"] is None and "is below" in after["reason"] and f"{coverage:.0%}" in after["reason"]
            assert {name for name in before if before[name] != after[name]} == {"emotion", "status", "reason"}
        else:
            assert after == before


@pytest.mark.parametrize("share", [0.7, 0.9])
def test_the_true_emotion_is_in_the_set_as_often_as_it_was_asked_for(share):
    abstain = Abstention.of(model(answers(0)), sets=share)
    assert abstain.columns == ["set"] and abstain.guarantee == "speaker"
    new = answers(1, 200)
    inside = []
    for row, target in zip(rows(new), new.targets, strict=True):
        found = abstain(row)["set"].split("|")
        assert found[0] == row["emotion"]
        assert [row[f"p_{label}"] for label in found] == sorted((row[f"p_{label}"] for label in found), reverse=True)
        inside.append(LABELS[target] in found)
    assert share - 0.02 < np.mean(inside) < share + 0.06


def test_few_speakers_give_sets_for_utterances():
    assert Abstention.of(model(answers(0, speakers=3)), sets=0.9).guarantee == "utterance"


def test_a_threshold_may_be_named_and_what_has_no_answer_stays_without():
    abstain = Abstention.of(model(None), min_confidence=0.6)
    unread = {"emotion": None, "confidence": None, "status": "no_speech", "reason": "no speech"}
    certain = {"emotion": "joy", "confidence": 0.6, "status": "ok", "reason": ""}
    assert abstain(unread) == unread and abstain(certain) == certain
    assert abstain(certain | {"confidence": 0.59}) == {
        "emotion": None, "confidence": 0.59, "status": "abstained", "reason": "confidence 0.59 is below 0.60",
    }  # fmt: skip
    assert Abstention.of(model(answers(0)), sets=0.9)(unread) == unread | {"set": None}


def test_without_a_wish_rows_stay_as_they_are():
    abstain = Abstention.of(model(None, temperature=None))
    row = {"valence": 3.0, "status": "ok", "reason": ""}
    assert abstain(row) == row and abstain.columns == []


@pytest.mark.parametrize(
    ("trained", "wish", "message"),
    [
        (model(None), {"coverage": 0.9}, "need dev.safetensors beside the model"),
        (model(None), {"sets": 0.9}, "need dev.safetensors beside the model"),
        (model(None, None), {"min_confidence": 0.9}, "this model predicts ratings"),
        (model(answers(0)), {"coverage": 0.0}, "--coverage: 0 is not between 0 and 1"),
        (model(answers(0)), {"sets": 1.5}, "--sets: 1.5 is not between 0 and 1"),
        (model(answers(0)), {"coverage": 0.9, "min_confidence": 0.5}, "two thresholds; name one"),
    ],
)
def test_what_cannot_be_is_named(trained, wish, message):
    with pytest.raises(UserError, match=message):
        Abstention.of(trained, **wish)


def test_a_reason_is_true_to_the_last_digit():
    row = {"emotion": "anger", "confidence": 0.5199, "p_anger": 0.5199, "status": "ok", "reason": ""}
    assert Abstention.of(model(None), min_confidence=0.5201)(row)["reason"] == "confidence 0.5199 is below 0.5201"
    assert "99.5% of the dev set" in Abstention.of(model(answers(0)), coverage=0.995).reason
