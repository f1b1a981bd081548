"""Models with a known fault, each of which is caught by the test that is made for it, and by no other of these."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile

from emopipe.audio.tasks import Classification
from emopipe.conditions.amplitude import rms
from emopipe.recognition.abstention import Abstention
from emopipe.recognition.speech import Recognizer
from emopipe.robustness import sounds
from emopipe.robustness.answers import SOUNDS, table_of, write_answers
from emopipe.robustness.scores import scores, target_of, unknown
from emopipe.schemas.predictions import TRAINED
from emopipe.schemas.robustness import CLEAN
from emopipe.scoring.targets import EmotionTarget
from emopipe.trust import correctness

LABELS = ["anger", "happiness", "neutral", "sadness"]
SUITE = [
    (name, "drawn") for name in ("prepend_zeros", "append_zeros", "crop_end", "gain", "faint_white_noise", "low_pass")
]


class Faulty:
    """A model that sees the waveform itself, in the place of a recogniser."""

    def __init__(self, score):
        self.score = score  # a number for a waveform; its whole part decides which label is answered
        self.encoder = self
        self.trained = SimpleNamespace(task=Classification(LABELS), temperature=1.0)

    def in_batches(self, function, items):
        for item in items:
            yield from function([item])

    def encode(self, waveforms):
        return waveforms

    def member_outputs(self, waveforms):
        numbers = [int(np.floor(self.score(samples))) % len(LABELS) for samples in waveforms]
        return 3.0 * np.eye(len(LABELS))[numbers][:, None]

    def described(self, outputs):
        return Recognizer.described(self, outputs)


def decibels(samples):
    return 20 * np.log10(max(rms(samples), 1e-6))


def first_tenth_of_a_second(samples):
    return (decibels(samples[:1600]) - decibels(samples)) / 2  # whatever the gain


def loudness(samples):
    return 20 * np.log10(max(np.abs(samples).max(), 1e-6)) / 1.5


def always_the_same(_):
    return 0


def voice(samples):
    """Return which octave the strongest frequency is in: what a model without these faults might go by."""
    spectrum = np.abs(np.fft.rfft(samples, 16_384))
    return np.log2(max(60, spectrum.argmax() * 16_000 / 16_384) / 90)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Return the split of a corpus of voices that swell and fade, an octave of pitch for every emotion."""
    folder, generator, found = tmp_path_factory.mktemp("planted"), np.random.default_rng(1), []
    for number in range(48):
        times = np.arange(round(generator.uniform(0.8, 1.5) * 16_000)) / 16_000
        pitch = 130 * 2 ** (number % 4)
        sound = sum(np.sin(2 * np.pi * pitch * k * times) / k**2 for k in range(1, 5))
        sound *= 0.1 * generator.uniform(0.2, 1) * (1 + np.sin(2 * np.pi * generator.uniform(2, 5) * times)) + 0.01
        soundfile.write(folder / f"{number}.flac", sound, 16_000)
        label = LABELS[int(np.floor(voice(sound))) % 4]
        found.append({"utterance": f"c/{number}", "speaker": f"s{number % 6}", "split": "test", "emotion": label,
                      "path": str(folder / f"{number}.flac"), "corpus": "c", "sex": "", "language": ""})  # fmt: skip
    return pd.DataFrame(found)


@pytest.mark.parametrize(
    ("fault", "caught"),
    [(first_tenth_of_a_second, {"prepend_zeros"}), (loudness, {"gain"}), (always_the_same, set()), (voice, set())],
)
def test_a_fault_is_caught_by_the_condition_that_is_made_for_it(rows, tmp_path, fault, caught):
    model = Faulty(fault)
    write_answers(model, rows, SUITE, 1, tmp_path)
    answers = {one: pd.read_csv(table_of(tmp_path, *one)) for one in [CLEAN, *SUITE]}
    target = target_of(rows, answers)
    found = scores(target, SUITE)["conditions"]
    assert {name for name, levels in found.items() if not levels["drawn"]["passed"]} == caught
    heard = {kind: pd.read_csv(table_of(tmp_path, SOUNDS, kind)) for kind in sounds.KINDS}
    told = unknown(answers[CLEAN], heard, Abstention(threshold=0.5))
    assert all(one["answered"] == 1 for one in told.values())  # none of these models knows when not to answer
    emotions = answers[CLEAN]["emotion"].to_numpy(dtype=object)
    table = EmotionTarget(target.utterances, target.truth, {TRAINED: emotions}, LABELS, {})
    failed = {(one.test, one.score) for one in correctness.emotions(table) if one.passed is False}
    assert (("correctness_classification", "recall") in failed) == (fault is not voice)
    assert not failed or fault is not voice
