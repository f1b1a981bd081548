"""Codecs are real ones, at the rates that they are said to have, and delay nothing."""

from __future__ import annotations

import numpy as np
import pytest

from emopipe.conditions import codecs, phone
from emopipe.conditions.catalogue import apply
from emopipe.conditions.filters import resample


@pytest.fixture(scope="module")
def minute(talkers):
    """Return half a minute of speech."""
    return np.resize(np.concatenate(talkers), 480_000)


def band(samples: np.ndarray, low: float, high: float) -> float:
    """Return the energy of samples between two frequencies, in dB."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / 16_000)
    return 10 * np.log10(power[(frequencies >= low) & (frequencies < high)].sum() + 1e-12)


@pytest.mark.parametrize(
    ("codec", "container", "rates", "options"),
    [
        ("libmp3lame", "mp3", (8000, 16_000, 32_000), {}),
        ("libopus", "ogg", (6000, 12_000, 24_000), {"application": "voip"}),
    ],
)
def test_files_have_their_bit_rates(codec, container, rates, options, minute):
    for rate in rates:
        size = len(codecs.encoded(minute, 16_000, codec, container, rate, **options))
        assert size * 8 / 30 == pytest.approx(rate, rel=0.15)


def test_amr_has_the_frames_of_7400_bits_a_second(minute):
    file = codecs.encoded(resample(minute, 16_000, 8000, 240_000), 8000, "libopencore_amrnb", "amr", 7400)
    assert file.startswith(b"#!AMR\n")
    frames = np.frombuffer(file[6:], np.uint8).reshape(-1, 20)  # a byte of header, 148 bits of sound
    assert len(frames) == pytest.approx(1500, abs=4)
    assert set(frames[:, 0]) == {4 << 3 | 4}  # the fifth mode, of a frame without damage


@pytest.mark.parametrize("length", [1, 2, 100, 159, 160, 161, 1151, 1152, 1153, 16_001])
def test_no_sample_is_lost_at_the_end(length, minute):
    for name, level in (("mp3", "8kbps"), ("opus", "6kbps"), ("opus", "24kbps"), ("vorbis", "q0")):
        assert len(apply(name, level, minute[:length], "a", 1)) == length
    assert len(codecs.amr_nb(minute[:length], 7400)) == length


@pytest.mark.parametrize(
    ("name", "levels"), [("mp3", ("32kbps", "16kbps", "8kbps")), ("opus", ("24kbps", "12kbps", "6kbps")),
                         ("vorbis", ("q2", "q0"))]
)  # fmt: skip
def test_the_lower_the_rate_the_less_is_left(name, levels, speech):
    errors = [
        np.square(apply(name, level, speech, "a", 1) - speech).sum() / np.square(speech).sum() for level in levels
    ]
    assert errors == sorted(errors)
    assert errors[-1] > 1.2 * errors[0] > 0.001


@pytest.mark.parametrize(
    ("name", "level", "kept", "gone"),
    [
        ("mp3", "32kbps", (100, 7000), None),
        ("mp3", "8kbps", (100, 2500), (3500, 8000)),
        ("opus", "24kbps", (100, 7000), None),
        ("opus", "6kbps", (100, 3500), (4500, 8000)),
        ("vorbis", "q0", (100, 7000), None),
        ("low_quality_phone", "7.4kbps", (200, 3000), None),
    ],
)
def test_codecs_keep_the_band_that_their_rate_allows(name, level, kept, gone, speech):
    found = apply(name, level, speech, "a", 1)
    for low, high in [kept] if kept[1] < 4000 else [(kept[0], 4000), (4000, kept[1])]:
        assert band(found, low, high) == pytest.approx(band(speech, low, high), abs=3)
    if gone:
        assert band(found, *gone) < band(speech, *gone) - 20


def test_real_speech_stays_in_place(shared, lag):
    import soundfile

    samples, _ = soundfile.read(sorted(shared("data/nemo16k").glob("*.flac"))[0], dtype="float32")
    for name, level in (("mp3", "8kbps"), ("opus", "6kbps"), ("vorbis", "q0"), ("low_quality_phone", "7.4kbps")):
        found = apply(name, level, samples, "a", 1)
        assert lag(samples, found) <= (2 if name == "opus" else 1)


# ---- the phone


def curve(level: float) -> float:
    """Return the level in dB that a steady one becomes, outside of the knee."""
    return 0.8 * level if level > -20 else level + 4


@pytest.mark.parametrize("level", [-60, -40, -26, -14, -6, -1, 0])
def test_the_compressor_has_its_curve(level):
    steady = np.full(4000, 10 ** (level / 20))
    assert 20 * np.log10(phone.compressed(steady)[-1]) == pytest.approx(curve(level), abs=0.01)


def test_the_compressor_smooths_within_its_knee():
    levels = np.arange(-24, -15.9, 0.5)
    found = [20 * np.log10(phone.compressed(np.full(4000, 10 ** (level / 20)))[-1]) for level in levels]
    assert np.abs(found - np.array([curve(level) for level in levels])).max() < 0.3
    slopes = np.diff(found) / 0.5
    assert slopes == pytest.approx(np.sort(slopes)[::-1], abs=1e-6)  # from 1 to 0.8 without a corner
    assert slopes.max() < 1.001
    assert slopes.min() > 0.799


def test_the_compressor_has_its_times():
    """Against the follower of an envelope that SoX documents: one time up, another one down."""
    steps = np.concatenate([np.full(1600, 0.01), np.full(1600, 0.9), np.full(1600, 0.01)])
    up, down = (1 - np.exp(-1 / (8000 * seconds)) for seconds in (0.01, 0.02))
    envelope, expected = 1.0, []
    for value in steps:
        envelope += (value - envelope) * (up if value > envelope else down)
        level = 20 * np.log10(envelope)
        expected.append(value * 10 ** ((curve(level) - level) / 20) if abs(level + 20) > 4 else np.nan)
    found, known = phone.compressed(steps), np.isfinite(expected)
    assert known.mean() > 0.9
    assert found[known] == pytest.approx(np.clip(expected, -1, 1)[known], rel=1e-3)


def test_the_compressor_clips():
    burst = np.concatenate([np.full(2000, 0.001), np.full(10, 1.0)])
    assert phone.compressed(burst)[2000] == 1  # it comes too late
    assert phone.compressed(-burst)[2000] == -1


def test_above_4_khz_a_phone_has_noise_of_its_level(speech):
    """Pink noise of peak −25 dB, against speech of peak 1."""
    found = apply("low_quality_phone", "7.4kbps", speech, "a", 1).astype(np.float64)
    spectrum = np.fft.rfft(found)
    frequencies = np.fft.rfftfreq(len(found), 1 / 16_000)
    voice = np.fft.irfft(spectrum * (frequencies < 4000), len(found))
    noise = np.fft.irfft(spectrum * (frequencies > 4500), len(found)) / np.abs(voice).max()
    density = np.where(frequencies > 0, 1 / np.maximum(frequencies, 1), 0)
    pink = np.fft.irfft(
        np.fft.rfft(np.random.default_rng(5).standard_normal(len(found))) * np.sqrt(density), len(found)
    )
    pink *= 10 ** (-25 / 20) / np.abs(pink).max()
    heard = 1 / (1 + (np.tan(np.pi * 3000 / 16_000) / np.tan(np.pi * np.clip(frequencies, 1, 7999) / 16_000)) ** 4)
    expected = np.fft.irfft(np.fft.rfft(pink) * np.sqrt(heard) * (frequencies > 4500), len(found))
    assert 20 * np.log10(noise.std() / expected.std()) == pytest.approx(0, abs=2)  # the peak of noise is chance
