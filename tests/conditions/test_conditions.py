"""What holds for every condition: its bytes, its length, its place in time, its level, its refusals."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from emopipe.conditions.amplitude import rms
from emopipe.conditions.catalogue import CONDITIONS, FULL, QUICK, apply
from emopipe.io.errors import UserError
from helpers.paths import ROOT

LENGTHENED = {
    ("append_zeros", "drawn"): {100, 500, 1000},
    ("prepend_zeros", "drawn"): {100, 500, 1000},
    ("leading_silence", "1s"): {16_000},
    ("leading_silence", "3s"): {48_000},
    ("trailing_silence", "1s"): {16_000},
    ("trailing_silence", "3s"): {48_000},
}
CROPPED = {("crop_beginning", "drawn"), ("crop_end", "drawn")}
OTHERS = [np.random.default_rng(i).uniform(-0.5, 0.5, 300 + 100 * i).astype(np.float32) for i in range(3)]
waveforms = st.integers(1, 2500).flatmap(
    lambda length: arrays(np.float32, length, elements=st.floats(-1, 1, width=32), fill=st.just(np.float32(0)))
)


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(FULL), waveforms, st.text(max_size=5), st.integers(0, 2**40))
def test_a_result_is_finite_within_full_scale_of_the_stated_length_and_the_same_again(case, samples, utterance, seed):
    before = samples.copy()
    found = apply(*case, samples, utterance, seed, OTHERS)
    assert np.array_equal(samples, before)
    assert found.dtype == np.float32
    assert found.ndim == 1
    assert np.isfinite(found).all()
    assert np.abs(found).max() <= 1
    longer = len(found) - len(samples)
    if case in CROPPED:
        assert -longer in {100, 500, 1000} or len(found) == min(400, len(samples))
        assert len(found) >= min(400, len(samples))
    else:
        assert longer in LENGTHENED.get(case, {0})
    assert apply(*case, samples, utterance, seed, OTHERS).tobytes() == found.tobytes()


@pytest.mark.parametrize(("name", "level"), FULL)
def test_of_silence_there_comes_silence(name, level):
    found = apply(name, level, np.zeros(5000, np.float32), "a", 1, OTHERS)
    if name == "dc_offset":
        assert found == pytest.approx({"1%": 0.01, "10%": 0.1}[level])
    elif name == "opus":
        assert np.abs(found).max() < 1e-4  # noise of the decoder
    else:
        assert not found.any()


@pytest.mark.parametrize(("name", "level"), FULL)
def test_speech_is_changed_and_stays_where_it_was(name, level, speech, talkers, lag):
    found = (apply(name, level, speech, f"u{i}", 1, talkers[1:]) for i in range(20))
    changed = next(one for one in found if one.tobytes() != speech.tobytes())
    if name not in ("prepend_zeros", "leading_silence", "crop_beginning"):
        assert lag(speech, changed) <= (2 if (name, level) == ("opus", "6kbps") else 1)


def test_silence_and_cuts_are_exact(speech):
    for name, (level, length) in {"leading_silence": ("3s", 48_000), "trailing_silence": ("1s", 16_000)}.items():
        found = apply(name, level, speech, "a", 1)
        silence, sound = (found[:length], found[length:]) if name[0] == "l" else (found[-length:], found[:-length])
        assert not silence.any()
        assert np.array_equal(sound, speech)
    drawn = {name: set() for name in ("prepend_zeros", "append_zeros", "crop_beginning", "crop_end")}
    for i in range(40):
        for name, counts in drawn.items():
            found = apply(name, "drawn", speech, f"u{i}", 1)
            count = abs(len(found) - len(speech))
            counts.add(count)
            zeros = np.zeros(count, np.float32)
            expected = {
                "prepend_zeros": np.concatenate([zeros, speech]),
                "append_zeros": np.concatenate([speech, zeros]),
                "crop_beginning": speech[count:],
                "crop_end": speech[:-count],
            }[name]
            assert np.array_equal(found, expected)
    assert all(counts == {100, 500, 1000} for counts in drawn.values())


@pytest.mark.parametrize("name", [name for name, condition in CONDITIONS.items() if condition.restores_rms])
def test_the_level_is_restored_where_it_was_published_so(name, speech, talkers):
    for level in CONDITIONS[name].levels:
        assert rms(apply(name, level, speech, "a", 1, talkers[1:])) == pytest.approx(rms(speech), rel=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_what_exceeds_full_scale_is_made_softer_and_not_clipped(sign):
    samples = np.full(16_000, -0.02, np.float32)
    samples[::100] = 1
    samples *= sign
    found = apply("white_noise", "20dB", samples, "a", 1)
    assert np.abs(found).max() == 1
    assert (np.abs(found) == 1).sum() == 1  # the highest peak alone
    noise = found - samples * (samples @ found) / (samples @ samples)
    assert 20 * np.log10(rms(found - noise) / rms(noise)) == pytest.approx(20, abs=0.1)
    louder = [apply("gain", "drawn", samples, f"u{i}", 1) for i in range(20)]
    assert max(np.abs(one).max() for one in louder) == 1
    assert all(np.allclose(one / one[0], samples / samples[0]) for one in louder)


def test_a_result_depends_on_seed_level_and_utterance_and_not_on_what_was_done_before(speech, talkers):
    def results(order, utterances):
        return {
            (*case, utterance): apply(*case, speech[:8000], utterance, 1, talkers[1:])
            for case in order
            for utterance in utterances
        }

    state = np.random.get_state()[1].copy()
    forward, backward = results(QUICK, ["a", "b"]), results(QUICK[::-1], ["b", "a"])
    assert all(forward[key].tobytes() == backward[key].tobytes() for key in forward)
    assert np.array_equal(np.random.get_state()[1], state)
    first = forward["white_noise", "20dB", "a"]
    assert not np.array_equal(first, forward["white_noise", "20dB", "b"])
    assert not np.array_equal(first, apply("white_noise", "20dB", speech[:8000], "a", 2))
    noises = [apply("gaussian_noise", level, speech[:8000], "a", 1) - speech[:8000] for level in ("20dB", "10dB")]
    assert abs(np.corrcoef(noises)[0, 1]) < 0.1


SCRIPT = """
import hashlib, sys
import emopipe.io.errors
before = set(sys.modules)
import numpy as np
from emopipe.conditions.catalogue import QUICK, apply
loaded = set(sys.modules) - before
assert not {name.split(".")[0] for name in loaded} & {"torch", "pandas", "scipy", "av", "pyroomacoustics", "soundfile"}
assert all(name.startswith("emopipe.conditions") for name in loaded if name.startswith("emopipe.")), loaded
samples = np.sin(np.arange(4000) ** 1.5 / 500).astype(np.float32) / 2
print(*(hashlib.sha256(apply(*case, samples, "a/é", 7, [samples[::-1]])).hexdigest() for case in QUICK))
"""


def test_another_process_makes_the_same_bytes_and_little_is_imported():
    environment = {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "2", "PATH": ""}
    command = [sys.executable, "-c", SCRIPT]
    process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    assert process.returncode == 0, process.stderr
    samples = np.sin(np.arange(4000) ** 1.5 / 500).astype(np.float32) / 2
    own = [hashlib.sha256(apply(*case, samples, "a/é", 7, [samples[::-1]])).hexdigest() for case in QUICK]
    assert process.stdout.split() == own


def test_suites_name_conditions_and_the_quick_one_has_every_group():
    assert len(set(FULL)) == len(FULL) == sum(len(condition.levels) for condition in CONDITIONS.values())
    assert set(QUICK) < set(FULL)
    assert {CONDITIONS[name].group for name, _ in QUICK} == {condition.group for condition in CONDITIONS.values()}


def test_thresholds_are_those_of_ser_tests():
    small = [condition for condition in CONDITIONS.values() if condition.group == "small changes"]
    assert len(small) == 10
    assert {(one.unchanged, one.change_uar, one.change_ccc) for one in small} == {(0.95, None, None)}
    published = {
        "white_noise": (0.9, -0.05, -0.05),
        "babble": (0.9, -0.05, -0.05),
        "low_quality_phone": (0.5, -0.05, -0.05),
        "spectral_tilt": (0.8, -0.02, -0.05),
        "room": (0.8, None, None),
    }
    for name, condition in CONDITIONS.items():
        expected = published.get(name, (0.95, None, None) if condition in small else (None, None, None))
        assert (condition.unchanged, condition.change_uar, condition.change_ccc) == expected
        assert bool(condition.source) or expected == (None, None, None)


@pytest.mark.parametrize(
    ("name", "level", "others", "message"),
    [
        ("echo", "20dB", OTHERS, "condition 'echo': there is none of that name; there are additive_tone, "),
        ("mp3", "9kbps", OTHERS, "condition mp3: no level '9kbps'; there are 32kbps, 16kbps, 8kbps"),
        ("babble", "20dB", [], "condition babble: no speech of other speakers"),
        ("second_talker", "0dB", [], "condition second_talker: no speech of other speakers"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(name, level, others, message):
    with pytest.raises(UserError, match=message):
        apply(name, level, np.ones(1000, np.float32), "a", 1, others)


@pytest.mark.parametrize("samples", [np.empty(0), np.zeros((2, 3)), np.array([0, np.nan]), np.array([np.inf])])
def test_what_is_no_waveform_is_refused(samples):
    with pytest.raises(ValueError, match="finite samples"):
        apply("gain", "drawn", samples.astype(np.float32), "a", 1)


@pytest.mark.parametrize(
    ("package", "case"),
    [("av", ("mp3", "8kbps")), ("av", ("low_quality_phone", "7.4kbps")), ("pyroomacoustics", ("room", "0.5-1s"))],
)
def test_a_package_that_is_missing_is_named(package, case, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr("emopipe.conditions.rooms.room", sys.modules["emopipe.conditions.rooms"].room.__wrapped__)
    with pytest.raises(UserError, match=f"no package {package}, .* `pip install 'emopipe"):
        apply(*case, np.ones(1000, np.float32) / 2, "a", 1)
