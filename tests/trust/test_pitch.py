"""F0 of sounds of known pitch, and who counts as low, medium and high."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import soundfile

from emopipe.corpora import emodb
from emopipe.io.errors import UserError
from emopipe.trust.pitch import mean_f0, pitch_groups

RATE = 16_000


def voice(f0, seconds=1.0):
    """Return a sound of many harmonics."""
    time = np.arange(int(seconds * RATE)) / RATE
    return 0.1 * sum(np.cos(2 * np.pi * f0 * k * time) / k for k in range(1, int(4000 / f0)))


@pytest.fixture(scope="module", autouse=True)
def _parselmouth():
    pytest.importorskip("parselmouth")


@pytest.mark.parametrize("f0", [90.0, 145.0, 220.0, 330.0])
def test_f0_of_a_sound_is_that_which_it_was_made_with(f0):
    assert mean_f0(voice(f0)) == pytest.approx(f0, rel=0.005)
    pause = np.concatenate([np.zeros(RATE), voice(f0), np.zeros(RATE)]).astype(np.float32)
    assert mean_f0(pause) == pytest.approx(f0, rel=0.02)  # of the voiced frames alone


@pytest.mark.parametrize("samples", [0, 1, 400, 640, 641, RATE])
def test_silence_has_no_f0(samples):
    assert np.isnan(mean_f0(np.zeros(samples)))


def test_an_implausible_f0_is_none():
    assert np.isnan(mean_f0(voice(400)))
    assert np.isnan(mean_f0(np.random.default_rng(0).normal(0, 0.1, RATE // 4)))


def test_speakers_have_the_pitch_of_their_mean_from_25_measured_utterances_on():
    cases = {"a": 145.0, "b": 145.1, "c": 190.0, "d": 190.1}
    speakers = np.repeat([*cases, "e", ""], 25)
    f0 = np.repeat([*cases.values(), 100.0, 100.0], 25)
    f0[speakers == "a"] += np.linspace(-20, 20, 25)
    f0[np.flatnonzero(speakers == "e")[0]] = np.nan
    found = pitch_groups(speakers, f0)
    groups = {name: set(found[speakers == name]) for name in (*cases, "e", "")}
    assert groups == {"a": {"low"}, "b": {"medium"}, "c": {"medium"}, "d": {"high"}, "e": {""}, "": {""}}
    more = pitch_groups([*speakers, "e"], [*f0, 100.0])
    assert list(more[[*(speakers == "e"), True]]) == ["", *["low"] * 25]  # the one without an F0 stays out


def test_without_the_package_the_message_names_it_and_its_licence(monkeypatch):
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    with pytest.raises(UserError, match=r"GPL.*pip install praat-parselmouth"):
        mean_f0(voice(100))


def test_women_of_emodb_speak_higher_than_men(shared):
    rows = emodb.read(shared("data/emodb"))
    rows = rows[rows["emotion"] == "neutral"].groupby("speaker").head(3)
    f0 = np.array([mean_f0(soundfile.read(path)[0]) for path in rows["path"]])
    means = rows.assign(f0=f0).groupby(["sex", "speaker"])["f0"].mean()
    assert means["male"].max() < 150 < means["female"].min()
