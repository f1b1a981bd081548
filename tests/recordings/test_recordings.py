"""Reading and resampling of single recordings, good and bad."""

import hashlib
import math
import resource
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from emopipe.io.errors import UserError
from emopipe.recordings.reading import BLOCK, Recording, RejectedError, describe, mono_blocks, open_audio
from emopipe.recordings.resampling import convert


def noise(frames: int, channels: int = 1, level: float = 0.2) -> np.ndarray:
    values = np.random.default_rng(frames).standard_normal((frames, channels)) * level
    return np.clip(values, -0.99, 0.99)


def decoded(path: Path) -> np.ndarray:
    values, rate = soundfile.read(path, dtype="int16")
    info = soundfile.info(path)
    assert (rate, info.format, info.subtype, info.channels) == (16_000, "FLAC", "PCM_16", 1)
    return values.astype(int)


def reason(path: Path) -> str:
    target = path.parent / "out" / "x.flac"
    with pytest.raises(RejectedError) as rejected:
        convert(Recording(path), target)
    assert list(target.parent.iterdir()) == []
    return str(rejected.value)


# ---- good recordings


def test_every_16_bit_value_passes_through_unchanged(tmp_path):
    values = np.arange(-32768, 32768, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", values, 16_000)
    converted = convert(Recording(tmp_path / "a.wav"), tmp_path / "a.flac")
    np.testing.assert_array_equal(decoded(tmp_path / "a.flac"), values)
    assert converted.samples == len(values)
    assert converted.sha256 == hashlib.sha256((tmp_path / "a.flac").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("rate", "channels", "suffix", "subtype"),
    [
        (8_000, 1, "wav", "PCM_16"),
        (48_000, 1, "wav", "PCM_16"),
        (48_000, 2, "wav", "PCM_16"),
        (44_100, 6, "wav", "PCM_16"),
        (22_050, 1, "wav", "PCM_24"),
        (16_000, 2, "wav", "FLOAT"),
        (96_000, 1, "wav", "DOUBLE"),
        (44_100, 2, "flac", "PCM_24"),
        (11_025, 1, "aiff", "PCM_16"),
        (16_000, 1, "wav", "PCM_U8"),
    ],
)
@pytest.mark.parametrize("frames", [2 * BLOCK + 12_345, 4_321])
def test_streaming_equals_the_whole_signal_at_once(tmp_path, rate, channels, suffix, subtype, frames):
    source = tmp_path / f"a.{suffix}"
    soundfile.write(source, noise(frames, channels), rate, subtype=subtype)
    mono = soundfile.read(source, dtype="float64", always_2d=True)[0].mean(axis=1)
    expected = np.clip(np.rint(soxr.resample(mono, rate, 16_000, quality="HQ") * 32768), -32768, 32767)
    convert(Recording(source), tmp_path / "a.flac")
    got = decoded(tmp_path / "a.flac")
    assert len(got) == len(expected) == pytest.approx(frames * 16_000 / rate, abs=1)
    assert np.abs(got - expected).max() <= 1


def test_values_beyond_full_scale_are_clipped_and_do_not_wrap(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.tile([1.5, -1.5, 1.0, 0.5], 200), 16_000, subtype="FLOAT")
    convert(Recording(tmp_path / "a.wav"), tmp_path / "a.flac")
    assert decoded(tmp_path / "a.flac")[:4].tolist() == [32767, -32768, 32767, 16384]


def test_same_samples_give_the_same_file_whatever_they_came_in(tmp_path):
    values = (noise(5_000)[:, 0] * 32768).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", values, 16_000)
    soundfile.write(tmp_path / "b ü.aiff", np.column_stack([values, values]), 16_000)
    assert convert(Recording(tmp_path / "a.wav"), tmp_path / "a.flac") == convert(
        Recording(tmp_path / "b ü.aiff"), tmp_path / "ü b.flac"
    )


def test_400_samples_are_enough_after_resampling(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(1_200), 48_000)
    assert convert(Recording(tmp_path / "a.wav"), tmp_path / "a.flac").samples == 400


def test_a_wav_written_to_a_pipe_claims_any_length_and_is_read(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(5_000), 16_000)
    for size in (0xFFFFFFFF, 0x7FFFF000):
        content = bytearray((tmp_path / "a.wav").read_bytes())
        content[40:44] = struct.pack("<I", size)
        (tmp_path / "piped.wav").write_bytes(content)
        assert convert(Recording(tmp_path / "piped.wav"), tmp_path / "a.flac").samples == 5_000


def test_memory_does_not_grow_with_the_length(tmp_path):
    with soundfile.SoundFile(tmp_path / "long.wav", "w", 8_000, 1) as file:
        for _ in range(10):
            file.write(noise(480_000)[:, 0])  # a minute each; ten are 19 MB as float32
    tracemalloc.start()
    convert(Recording(tmp_path / "long.wav"), tmp_path / "long.flac")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6


# ---- bad recordings


def test_files_that_are_no_audio(tmp_path):
    assert reason(tmp_path / "gone.wav") == "missing file"
    (tmp_path / "folder.wav").mkdir()
    assert reason(tmp_path / "folder.wav") == "missing file"
    (tmp_path / "empty.wav").touch()
    assert reason(tmp_path / "empty.wav") == "empty file of 0 bytes"
    (tmp_path / "text.wav").write_text("Das will sie am Mittwoch abgeben.\n" * 30)
    assert reason(tmp_path / "text.wav") == "not readable as audio: Format not recognised"
    (tmp_path / "headerless.raw").write_bytes(b"\0\1" * 1_000)
    assert reason(tmp_path / "headerless.raw").startswith("not readable as audio")


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "au", "mp3"])
@pytest.mark.parametrize("share", [0.3, 0.99])
def test_a_cut_file_is_noticed(tmp_path, suffix, share):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise(100_000), 16_000)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "truncated" in reason(path)


def test_the_reason_of_a_cut_file_has_figures(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(10_000), 16_000)
    path.write_bytes(path.read_bytes()[:-2])
    assert reason(path) == "truncated: the header promises 20000 bytes of audio, the file holds 19998"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_numbers(tmp_path, value):
    values = noise(BLOCK + 1_000)[:, 0]
    values[BLOCK + 10] = value
    soundfile.write(tmp_path / "a.wav", values, 16_000, subtype="FLOAT")
    assert reason(tmp_path / "a.wav") == f"1 NaN or infinite sample(s) in frames {BLOCK} to {BLOCK + 999}"


def test_a_recording_without_sound_is_refused(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    assert reason(tmp_path / "none.wav") == "no samples"
    soundfile.write(tmp_path / "zeros.wav", np.zeros(48_000), 48_000)
    assert reason(tmp_path / "zeros.wav") == "digital silence: all 16000 samples are zero at 16 bit"
    left = noise(1_000)[:, 0]
    soundfile.write(tmp_path / "opposite.wav", np.column_stack([left, -left]), 16_000, subtype="FLOAT")
    assert reason(tmp_path / "opposite.wav").startswith("digital silence")
    soundfile.write(tmp_path / "short.wav", noise(399), 16_000)
    assert reason(tmp_path / "short.wav") == "too short: 399 samples at 16000 Hz, fewer than 400"
    soundfile.write(tmp_path / "slow.wav", noise(1_000), 1)
    assert reason(tmp_path / "slow.wav") == "sample rate of 1 Hz, outside 2000 to 768000"


@pytest.mark.parametrize("room", [lambda size: 0, lambda size: size // 2, lambda size: size - 1])
def test_a_full_disk_is_the_users_matter_and_leaves_nothing(tmp_path, room):
    """A limit on the size of files fails a write as a full disk does: the first, one in the middle, the last."""
    soundfile.write(tmp_path / "a.wav", noise(50_000), 16_000)
    convert(Recording(tmp_path / "a.wav"), tmp_path / "whole.flac")
    size = (tmp_path / "whole.flac").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room(size), hard))
    try:
        with pytest.raises(UserError, match=r"out/a\.flac: (cannot be|not) written .*is the disk full"):
            convert(Recording(tmp_path / "a.wav"), tmp_path / "out" / "a.flac")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "au"])
def test_sixteen_bits_become_the_floats_that_libsndfile_makes_of_them(tmp_path, suffix, channels):
    rng = np.random.default_rng(channels)
    values = rng.integers(-32768, 32768, (BLOCK + 77, channels)).astype(np.int16)
    values[0], values[1] = -32768, 32767
    soundfile.write(tmp_path / f"a.{suffix}", values, 16_000, subtype="PCM_16")
    expected = soundfile.read(tmp_path / f"a.{suffix}", dtype="float32", always_2d=True)[0].mean(axis=1)
    with open_audio(tmp_path / f"a.{suffix}") as file:
        blocks = np.concatenate(list(mono_blocks(file)))
    assert blocks.dtype == np.float32
    np.testing.assert_array_equal(blocks, expected)


def test_fingerprints_of_what_cannot_be_read(tmp_path):
    (tmp_path / "text.wav").write_text("no audio")
    (missing, nothing), (content, unknown) = describe(
        [Recording(tmp_path / "gone.wav"), Recording(tmp_path / "text.wav")]
    )
    assert missing == "" and math.isnan(nothing)
    assert content == hashlib.sha256(b"no audio").hexdigest() and math.isnan(unknown)
