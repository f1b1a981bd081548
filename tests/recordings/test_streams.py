"""Recordings are read to the end of their file, whatever a header says about it."""

from __future__ import annotations

import io
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emopipe.recordings.reading import Recording, RejectedError, duration, mono_blocks, open_audio
from emopipe.recordings.resampling import convert
from emopipe.recordings.streams import _frame, _frames
from helpers.bad_recordings import audio, voice

RATE = 16_000


def speech(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    """Return bursts and pauses of noise."""
    draw = np.random.default_rng(0)
    times = np.arange(round(seconds * rate)) / rate
    loud = np.where(np.sin(2 * np.pi * 1.3 * times) > 0, 0.2, 0.0005)
    return (draw.standard_normal((len(times), channels)) * loud[:, None]).clip(-0.9, 0.9)


def mp3(seconds: float, rate: int, channels: int = 1, mode: str = "VARIABLE") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, speech(seconds, rate, channels), rate, format="MP3", bitrate_mode=mode)
    return buffer.getvalue()


def frames_of(content: bytes) -> list[bytes]:
    """Return the MPEG frames of a file, found by their own sizes."""
    found, place = [], 0
    while frame := _frame(content[place : place + 4]):
        found.append(content[place : place + frame.size])
        place += frame.size
    assert place == len(content)
    return found


def without_xing(content: bytes) -> bytes:
    first, *others = frames_of(content)
    assert b"Xing" in first or b"Info" in first
    return b"".join(others)


def read(path: Path) -> np.ndarray:
    with open_audio(path) as file:
        return np.concatenate(list(mono_blocks(file)))


def stored(folder: Path, content: bytes, name: str) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


# ---- MP3


@pytest.mark.parametrize(("rate", "frames"), [(16_000, 81_216), (44_100, 222_336)])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_mp3_of_variable_bit_rate_without_a_xing_frame_is_read_to_its_end(tmp_path, rate, frames, channels):
    path = stored(tmp_path, without_xing(mp3(5, rate, channels)), "a.mp3")
    with soundfile.SoundFile(path) as naive:
        assert naive.frames < frames * 0.9  # what is mended here
    samples = read(path)
    assert len(samples) == frames and duration(path) == frames / rate
    assert np.abs(samples[-rate // 2 :]).max() > 0.01  # the last burst is there
    converted = convert(Recording(path), tmp_path / "a.flac")
    assert converted.samples == pytest.approx(frames * RATE / rate, abs=1)


def test_it_is_the_sound_of_the_file_that_has_its_xing_frame(tmp_path):
    whole = mp3(5, RATE)
    told = read(stored(tmp_path, whole, "told.mp3"))
    assert len(told) == 80_000  # without the encoder's delay and padding
    found = read(stored(tmp_path, without_xing(whole), "untold.mp3"))
    delay = int(np.argmax([np.dot(told[:8000], found[i : i + 8000]) for i in range(2_000)]))
    np.testing.assert_allclose(found[delay : delay + 79_000], told[:79_000], atol=1e-3)


@pytest.mark.parametrize("tag", [b"", b"ID3\x03\0\0" + bytes([0, 0, 8, 0]) + b"\xff\xfb\x90\x64" * 256, b"junk" * 50])
def test_joined_mp3s_are_read_whole(tmp_path, tag):
    one = mp3(5, RATE)
    path = stored(tmp_path, one + tag + one, "a.mp3")
    samples = read(path)
    alone = read(stored(tmp_path, one, "one.mp3"))
    assert len(alone) == 80_000 and duration(path) == 10.0
    np.testing.assert_allclose(samples, np.tile(alone, 2), atol=1e-6)


def test_joined_mp3s_of_which_none_tells_its_length_are_read_whole(tmp_path):
    path = stored(tmp_path, without_xing(mp3(5, RATE)) * 2, "a.mp3")
    assert len(read(path)) == 2 * 81_216


@pytest.mark.parametrize("mode", ["CONSTANT", "AVERAGE", "VARIABLE"])
def test_an_mp3_that_tells_its_length_is_left_as_it_is(tmp_path, mode):
    path = stored(tmp_path, mp3(3, RATE, mode=mode), "a.mp3")
    expected, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_allclose(read(path), expected, atol=1e-6)
    assert len(expected) == 48_000


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_an_mp3_that_tells_more_than_there_is_stays_truncated(tmp_path, share):
    content = mp3(5, RATE)
    path = stored(tmp_path, content[: round(share * len(content))], "a.mp3")
    with pytest.raises(RejectedError, match="truncated"):
        read(path)


# What libsndfile takes for an MP3, and has no whole frame.
NO_FRAME = bytes.fromhex(
    "fff6504021fffcde02004c61766336328a83a1a268683a314183186f1b6fae879c0e00000000b6702c8a7ec9201f2b1e"
    "caf9f04017fffc012a36282916368d83a18168583a781e85ff4ae32af53cfbc95c739c546b721ea88504a4033afa2931"
    "1f52bd104d8786ee68866a3f1d06f2834a8075df0627b0e09f916cb66c4aec550ca8a6dd69c0fff1504017fffc011c36"
    "2c29262ea583a18168583a160e8604ffd2a8ae3cd77d78e1bad55eee5c5c0a96"
)


def test_an_mp3_without_a_whole_frame_is_rejected(tmp_path):
    with pytest.raises(RejectedError):
        read(stored(tmp_path, NO_FRAME, "a.mp3"))


def test_a_vbri_frame_tells_the_length_too(tmp_path):
    frames = frames_of(without_xing(mp3(5, RATE)))
    fitting = next(frame for frame in frames if len(frame) > 100)
    vbri = fitting[:36] + b"VBRI" + struct.pack(">HHHII", 1, 0, 0, 0, len(frames))
    path = stored(tmp_path, vbri.ljust(len(fitting), b"\0") + b"".join(frames), "a.mp3")
    assert len(read(path)) == 576 * len(frames)
    cut = stored(tmp_path, vbri.ljust(len(fitting), b"\0") + b"".join(frames[:50]), "b.mp3")
    with pytest.raises(RejectedError, match=r"truncated"):
        read(cut)


@pytest.mark.parametrize(
    "before", [b"ID3\x03\0\0\x00\x40\x00\x00" + b"\xff\xe2\x10\xc4" * 262_144, b"\0" * 5_000, b"text " * 200]
)
@pytest.mark.parametrize("behind", [b"", b"TAG" + b"x" * 125, b"APETAGEX" + b"\0" * 100])
def test_tags_and_junk_around_an_mp3_do_not_matter(tmp_path, before, behind):
    content = mp3(3, RATE)
    plain = read(stored(tmp_path, content, "plain.mp3"))
    np.testing.assert_array_equal(read(stored(tmp_path, before + content + behind, "a.mp3")), plain)


def test_a_segment_of_such_an_mp3_is_cut_where_its_times_say(tmp_path):
    path = stored(tmp_path, without_xing(mp3(5, RATE)), "a.mp3")
    whole = read(path)
    convert(Recording(path, 3.0, 4.5), tmp_path / "a.flac")
    samples, _ = soundfile.read(tmp_path / "a.flac")
    assert len(samples) == 24_000
    np.testing.assert_allclose(samples, whole[48_000:72_000], atol=1e-3)


# ---- files one behind the other


@pytest.mark.parametrize(
    ("kind", "subtype"), [("OGG", "VORBIS"), ("OGG", "OPUS"), ("FLAC", "PCM_16"), ("WAV", "PCM_16"), ("WAV", "FLOAT")]
)
@pytest.mark.parametrize("copies", [2, 3])
def test_joined_files_are_read_one_behind_the_other(tmp_path, kind, subtype, copies):
    one = audio(voice(frames=32_000), RATE, kind, subtype)
    alone = read(stored(tmp_path, one, "one"))
    path = stored(tmp_path, one * copies, "all")
    samples = read(path)
    assert len(alone) == 32_000 and len(samples) == copies * 32_000 and duration(path) == copies * 2.0
    np.testing.assert_allclose(samples, np.tile(alone, copies), atol=1e-6)
    convert(Recording(path, 1.5, 2.5), tmp_path / "a.flac")  # across the joint
    found, _ = soundfile.read(tmp_path / "a.flac")
    np.testing.assert_allclose(found, samples[24_000:40_000], atol=2 / 32768)


def test_files_of_several_kinds_that_were_joined_are_refused(tmp_path):
    path = stored(tmp_path, audio(voice(), RATE) + audio(voice(), 8_000), "a.wav")
    with pytest.raises(RejectedError, match=r"several kinds, 1 channel\(s\) at 8000 Hz and 1 channel\(s\) at 16000 Hz"):
        open_audio(path)


def test_mp3s_of_several_rates_that_were_joined_are_refused(tmp_path):
    with pytest.raises(RejectedError, match="joined from files of several kinds"):
        open_audio(stored(tmp_path, mp3(2, RATE) + mp3(2, 44_100), "a.mp3"))


def test_a_cut_second_half_is_noticed(tmp_path):
    one = audio(voice(), RATE)
    with pytest.raises(RejectedError, match="truncated"):
        read(stored(tmp_path, one + one[:-2000], "a.wav"))


# ---- FLAC of unknown length


def streamed_flac(frames: int = 32_000) -> bytes:
    content = bytearray(audio(voice(frames=frames), RATE, "FLAC"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    return bytes(content)


def test_a_flac_that_was_written_to_a_pipe_is_rejected_with_the_command_that_mends_it(tmp_path):
    path = stored(tmp_path, streamed_flac(), "a.flac")
    with pytest.raises(RejectedError, match=r"no length in the header.*: ffmpeg -i a\.flac a_converted\.flac$"):
        open_audio(path)
    assert np.isnan(duration(path))


# ---- WAV whose header counts itself as sound


@pytest.mark.parametrize("more", [8, 16, 36, 44])
def test_a_header_that_counts_itself_is_no_cut(tmp_path, more):
    content = bytearray(audio(voice(frames=16_000), RATE))
    struct.pack_into("<I", content, 40, 32_000 + more)
    assert len(read(stored(tmp_path, bytes(content), "a.wav"))) == 16_000


def test_a_longer_header_that_counts_itself_is_no_cut_either(tmp_path):
    plain = audio(voice(frames=16_000), RATE)
    extra = b"LIST" + struct.pack("<I", 26) + bytes(26)
    content = plain[:36] + extra + plain[36:]
    content = content.replace(b"data" + struct.pack("<I", 32_000), b"data" + struct.pack("<I", len(content)))
    assert len(read(stored(tmp_path, content, "a.wav"))) == 16_000


@pytest.mark.parametrize("missing", [2, 46, 48, 1_000, 16_000])
def test_a_real_cut_stays_one(tmp_path, missing):
    content = audio(voice(frames=16_000), RATE)[:-missing]
    with pytest.raises(RejectedError, match="truncated"):
        read(stored(tmp_path, content, "a.wav"))


# ---- what libsndfile does not read

FOREIGN = {
    "a.m4a": (b"\0\0\0\x20ftypM4A ", "MPEG-4"),
    "a.3gp": (b"\0\0\0\x20ftyp3gp4", "MPEG-4"),
    "b.amr": (b"#!AMR\n", "AMR"),
    "c.webm": (b"\x1aE\xdf\xa3", "Matroska"),
    "d.wma": (b"0&\xb2u", "Windows Media"),
    "e.aac": (b"\xff\xf1", "AAC"),
    "my call (1).mp4": (b"\0\0\0\x18ftypisom", "MPEG-4"),
    "f.ape": (b"MAC \x96\x0f", "Monkey's Audio"),
    "g.wv": (b"wvpk", "WavPack"),
    "h.avi": (b"RIFF\x24\0\0\0AVI ", "AVI"),
}


@pytest.fixture
def without_pyav(monkeypatch):
    monkeypatch.setattr("emopipe.recordings.containers.find_spec", lambda name: None)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_format_is_named_with_the_command_that_converts_it(tmp_path, without_pyav, name):
    content, kind = FOREIGN[name]
    with pytest.raises(RejectedError) as rejected:
        open_audio(stored(tmp_path, content.ljust(64, b"\0"), name))
    quoted = name if " " not in name else f"'{name}'"
    wav = quoted.replace(Path(name).suffix, ".wav")
    assert str(rejected.value).startswith(f"not readable as audio: {kind}")
    remedy = f"`pip install 'emopipe[av]'` makes it readable, or convert it: ffmpeg -i {quoted} {wav}"
    assert str(rejected.value).endswith(f"which libsndfile does not read; {remedy}")
    assert np.isnan(duration(tmp_path / name))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_the_command_works(tmp_path, without_pyav):
    stored(tmp_path, audio(voice(), RATE), "x.wav")
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", "x.wav", "a.m4a"], cwd=tmp_path, check=True)
    with pytest.raises(RejectedError) as rejected:
        open_audio(tmp_path / "a.m4a")
    subprocess.run(str(rejected.value).partition("convert it: ")[2].split(), cwd=tmp_path, check=True)
    assert len(read(tmp_path / "a.wav")) > 7_000


# ---- no cost for what is as it should be


def test_walking_through_an_mp3_keeps_nothing_of_it(tmp_path):
    import mmap

    content = without_xing(mp3(2, RATE))
    path = stored(tmp_path, content, "a.mp3")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        assert b"".join(data[place : place + frame.size] for place, frame in _frames(data)) == content
