"""Recordings that libsndfile does not read: made by FFmpeg's encoders here, whole, in segments, cut and damaged."""

from __future__ import annotations

import os
import tracemalloc
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from emopipe.recordings.reading import (
    Recording,
    RejectedError,
    channels,
    describe,
    duration,
    fingerprint,
    mono_blocks,
    open_audio,
)
from emopipe.recordings.resampling import check_all, convert
from helpers.bad_recordings import voice

av = pytest.importorskip("av", reason="PyAV is an extra, and not installed")

# Muxer, codec, sample rate, options of the muxer.
KINDS = {
    "a.m4a": ("ipod", "aac", 44_100, {}),
    "fast.m4a": ("ipod", "aac", 44_100, {"movflags": "faststart"}),
    "pieces.mp4": ("mp4", "aac", 48_000, {"movflags": "frag_keyframe+empty_moov"}),
    "lossless.m4a": ("ipod", "alac", 44_100, {}),
    "a.mov": ("mov", "pcm_s16le", 44_100, {}),
    "24 bits.mov": ("mov", "pcm_s24le", 44_100, {}),
    "a.webm": ("webm", "libopus", 48_000, {}),
    "live.webm": ("webm", "libopus", 48_000, {"live": "1"}),
    "a.mka": ("matroska", "flac", 44_100, {}),
    "a.wma": ("asf", "wmav2", 44_100, {}),
    "a.amr": ("amr", "libopencore_amrnb", 8_000, {}),
    "a.3gp": ("3gp", "libopencore_amrnb", 8_000, {}),
    "a.aac": ("adts", "aac", 44_100, {}),
    "a.flv": ("flv", "aac", 44_100, {}),
    "a.avi": ("avi", "libmp3lame", 44_100, {}),
    "8 bits.avi": ("avi", "pcm_u8", 44_100, {}),
    "a.mpg": ("vob", "mp2", 48_000, {}),
    "a.ts": ("mpegts", "aac", 44_100, {}),
    "8 bits.wv": ("wv", "wavpack", 44_100, {}),
    "a.tta": ("tta", "tta", 44_100, {}),
    "a.rm": ("rm", "real_144", 8_000, {}),
    "phone.wav": ("wav", "adpcm_g726", 8_000, {}),
}
EXACT = ("lossless.m4a", "a.mov", "24 bits.mov", "a.mka", "8 bits.avi", "8 bits.wv", "a.tta")
# By how many samples the sound comes later than it was: nothing where the container tells the encoder's delay.
LATE = {"pieces.mp4": 1_024, "a.aac": 1_024, "a.flv": 1_024, "a.ts": 1_024, "a.avi": 1_105, "a.mpg": 481}
LATE |= {"a.wma": -2_048, "a.amr": 35, "a.3gp": -15, "a.rm": 160}
MONO = ("libopencore_amrnb", "real_144", "adpcm_g726")
SECONDS = 8


def speech(seconds: float, rate: int, count: int = 2) -> np.ndarray:
    """Return tones that rise and fall, another in each channel, in noise; int16 [samples, channels]."""
    times = np.arange(round(seconds * rate)) / rate
    loud = np.where(np.sin(2 * np.pi * 1.3 * times) > 0, 9_000, 300)
    tones = [np.sin(2 * np.pi * (200 + 90 * number) * times + 20 * np.sin(times)) for number in range(count)]
    noise = np.random.default_rng(0).standard_normal((len(times), count)) / 20
    return ((np.stack(tones, 1) + noise) * loud[:, None]).astype(np.int16)


def encode(path: Path, values: np.ndarray, kind: str = "", tracks: int = 1, film: bool = False) -> Path:
    """Write a file of a kind, by default that of its name; each track after the first is silent."""
    muxer, codec, rate, options = KINDS[kind or path.name]
    layout = {1: "mono", 2: "stereo"}[values.shape[1]]
    with av.open(str(path), "w", format=muxer, options=options) as file:
        if film:
            picture = file.add_stream("mpeg4", rate=25, width=64, height=48, pix_fmt="yuv420p")
        streams = [file.add_stream(codec, rate=rate, layout=layout) for _ in range(tracks)]
        for stream in streams:
            stream.bit_rate = {"libopencore_amrnb": 12_200, "adpcm_g726": 32_000}.get(codec, 128_000)
            if codec == "tta":
                stream.format = "s16"  # else 8 bits
            stream.codec_context.open()
        size = streams[0].codec_context.frame_size or 1_024
        fitted = [av.AudioResampler(stream.codec_context.format, layout, rate) for stream in streams]
        pictures = 0
        for start in range(0, len(values), size):
            if film and start / rate * 25 >= pictures:
                still = av.VideoFrame.from_ndarray(np.full((72, 64), pictures % 200, np.uint8), "yuv420p")
                still.pts, still.time_base = pictures, Fraction(1, 25)
                file.mux(picture.encode(still))
                pictures += 1
            for number, stream in enumerate(streams):
                block = values[start : start + size] * (number == 0)
                frame = av.AudioFrame.from_ndarray(block.reshape(1, -1).astype(np.int16), "s16", layout)
                frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
                for fitting in fitted[number].resample(frame):
                    file.mux(stream.encode(fitting))
        for stream in [*streams, *([picture] if film else [])]:
            file.mux(stream.encode(None))
    return path


def sound(name: str, seconds: float = SECONDS) -> np.ndarray:
    return speech(seconds, KINDS[name][2], 1 if KINDS[name][1] in MONO else 2)


@pytest.fixture(scope="module")
def contents(tmp_path_factory) -> dict[str, bytes]:
    """Return the content of a file of each kind, and of a film."""
    folder = tmp_path_factory.mktemp("contents")
    found = {name: encode(folder / name, sound(name)).read_bytes() for name in KINDS}
    film = encode(folder / "film.mp4", sound("fast.m4a"), "fast.m4a", film=True)
    return found | {"film.mp4": film.read_bytes()}


@pytest.fixture(params=KINDS)
def made(request, contents, tmp_path) -> Path:
    """Return a file of each kind."""
    (tmp_path / request.param).write_bytes(contents[request.param])
    return tmp_path / request.param


def read(path: Path, *part: int | None) -> np.ndarray:
    with open_audio(path) as file:
        return np.concatenate(list(mono_blocks(file, *part)))


def reason(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    assert np.isnan(duration(path))
    with pytest.raises(RejectedError) as rejected:
        read(path)
    return str(rejected.value)


def lag(signal: np.ndarray, other: np.ndarray, most: int) -> int:
    """Return by how many samples a signal comes later than another."""
    inner = other[most:-most]
    return int(np.argmax(correlate(signal[: len(other)], inner, "valid"))) - most


# ---- whole


def test_the_sound_comes_back(made):
    with pytest.raises(soundfile.SoundFileError):
        soundfile.info(made)
    expected, (_, _, rate, _) = sound(made.name), KINDS[made.name]
    with open_audio(made) as file:
        assert (file.samplerate, file.channels) == (rate, expected.shape[1])
        frames = file.frames
    found, mean = read(made), expected.mean(axis=1) / 32768
    assert len(found) == frames and abs(frames - len(mean)) <= 2_304 and duration(made) == frames / rate
    if made.name in EXACT:
        stored = (expected >> 8 << 8) if made.name.startswith("8") else expected
        np.testing.assert_array_equal(found, (stored.mean(axis=1) / 32768).astype(np.float32))
    late = LATE.get(made.name, 0)
    found_late = lag(found[2 * rate : 4 * rate], mean[2 * rate : 4 * rate], 3_000)
    assert abs(found_late - late) <= (KINDS[made.name][1] == "libopencore_amrnb")  # which shapes the waves anew
    assert np.corrcoef(found[2 * rate + late : 6 * rate + late], mean[2 * rate : 6 * rate])[0, 1] > 0.9


def test_it_becomes_what_its_sound_becomes_in_a_wav_file(made, tmp_path):
    with open_audio(made) as file:
        rate = file.samplerate
    soundfile.write(tmp_path / "a.wav", read(made), rate, subtype="FLOAT")
    assert convert(Recording(made), tmp_path / "a.flac") == convert(Recording(tmp_path / "a.wav"), tmp_path / "b.flac")


def test_a_corpus_of_such_files_is_described_and_converted_in_processes(contents, tmp_path):
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    sources = [Recording(tmp_path / name, 1.5, 3.0) for name in contents]
    for name, (sha256, seconds) in zip(contents, describe(sources), strict=True):
        assert sha256 == fingerprint(tmp_path / name) and seconds == 1.5
    outcomes = check_all(sources, workers=2)
    assert [outcome.samples for outcome in outcomes] == [24_000] * len(contents)


def test_of_a_film_and_of_several_tracks_the_first_sound_track_is_read(tmp_path):
    expected = sound("fast.m4a", 3)
    alone = read(encode(tmp_path / "fast.m4a", expected))
    film = read(encode(tmp_path / "film.mp4", expected, "fast.m4a", tracks=2, film=True))
    np.testing.assert_array_equal(film, alone)


def test_a_film_without_sound_is_refused(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        picture = file.add_stream("mpeg4", rate=25, width=64, height=48, pix_fmt="yuv420p")
        file.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((72, 64), np.uint8), "yuv420p")))
        file.mux(picture.encode(None))
    assert reason(tmp_path / "a.mp4", (tmp_path / "a.mp4").read_bytes()) == "a video without sound"


NAMES = (
    "12:30 call.m4a",
    "http:x.m4a",
    "a%20b%03d.m4a",
    "ä 悲しい ' \" , ;.m4a",
    "a\nb.m4a",
    "x?y=1#z.m4a",
    "concat:a.m4a",
)


@pytest.mark.parametrize("name", [*NAMES, "no suffix", "wrong.wav"])
def test_a_name_means_nothing_to_ffmpeg(contents, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(contents["a.m4a"])
    assert len(read(Path(name))) == len(read(tmp_path / name)) > 8 * 44_100


@pytest.mark.parametrize("suffix", ["m4a", "wav"])
def test_a_name_that_is_not_utf8_is_a_reason(contents, tmp_path, suffix):
    path = tmp_path / os.fsdecode(b"\xff." + suffix.encode())
    assert reason(path, contents["a.m4a"]) == "cannot be opened: its name is not UTF-8; rename it"


def test_tags_of_any_encoding_do_not_matter(contents, tmp_path):
    (tmp_path / "a.wma").write_bytes(contents["a.wma"])
    plain = encode_tagged(tmp_path / "a.mka", b"Mueller")
    broken = plain.read_bytes().replace(b"Mueller", b"M\xfcller.")
    assert broken != plain.read_bytes()
    (tmp_path / "b.mka").write_bytes(broken)
    np.testing.assert_array_equal(read(tmp_path / "b.mka"), read(plain))


def encode_tagged(path: Path, title: bytes) -> Path:
    """Write a file with a title."""
    source = encode(path.with_name("plain.mka"), sound("a.mka", 1), "a.mka")
    with av.open(str(source)) as given, av.open(str(path), "w") as file:
        file.metadata["title"] = title.decode()
        stream = file.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                file.mux(packet)
    return path


def test_a_file_that_changes_is_read_anew(contents, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(contents["a.m4a"])
    assert duration(path) == pytest.approx(SECONDS, abs=0.05)
    encode(path, sound("a.m4a", 2), "a.m4a")
    assert duration(path) == pytest.approx(2, abs=0.05)


# ---- segments


def test_a_segment_is_a_slice_of_the_whole(made):
    rate, whole = KINDS[made.name][2], read(made)
    starts = [0.0, 0.3, 0.999, 2.01, 3.3, 4.875, 6.5]
    parts = pairwise([*(round(one * rate) for one in starts), len(whole)])
    for start, end in reversed(list(parts)):
        found, expected = read(made, start, end), whole[start:end]
        np.testing.assert_array_equal(found, read(made, start, end))  # the same each time
        assert len(found) == len(expected)
        if KINDS[made.name][1] in ("aac", "ac3"):  # the decoder's own noise begins anew
            assert lag(found, expected, 50) == 0 and np.corrcoef(found, expected)[0, 1] > 0.999
        else:
            np.testing.assert_allclose(found, expected, atol=1e-4)


def test_times_beyond_the_end_are_rejected_by_what_was_counted(contents, tmp_path):
    (tmp_path / "a.amr").write_bytes(contents["a.amr"])
    with av.open(str(tmp_path / "a.amr")) as file:
        assert file.duration / 1e6 > 8.2  # what FFmpeg guesses of 8.02 s
    with pytest.raises(RejectedError, match=r"reaches beyond the end of the file, at 8\.02 s"):
        convert(Recording(tmp_path / "a.amr", 8.1), tmp_path / "a.flac")


def test_memory_does_not_grow_with_the_length(tmp_path):
    encode(tmp_path / "long.m4a", speech(300, 8_000, 1), "lossless.m4a")
    read(encode(tmp_path / "short.m4a", sound("a.m4a", 1), "a.m4a"))  # what is loaded once
    tracemalloc.start()
    converted = convert(Recording(tmp_path / "long.m4a"), tmp_path / "long.flac")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert converted.samples == pytest.approx(300 * 16_000 * 8_000 / 44_100, abs=2) and peak < 4e6


# ---- channels


@pytest.mark.parametrize("name", ["a.mka", "a.m4a", "a.wav"])
def test_one_channel_may_be_meant(tmp_path, name):
    values = sound("a.mka", 3)
    path = tmp_path / name
    soundfile.write(path, values, 44_100) if name == "a.wav" else encode(path, values)
    assert channels(path) == 2
    mix, left, right = (
        convert(Recording(path, 0.5, 2.5, channel), tmp_path / f"{channel}.flac") for channel in (None, 0, 1)
    )
    assert len({mix.sha256, left.sha256, right.sha256}) == 3 and mix == convert(
        Recording(path, 0.5, 2.5), tmp_path / "a.flac"
    )
    for channel in (0, 1):
        soundfile.write(tmp_path / "one.wav", values[22_050:110_250, channel], 44_100)
        convert(Recording(tmp_path / "one.wav"), tmp_path / "one.flac")
        expected, found = (soundfile.read(tmp_path / f"{one}.flac")[0] for one in ("one", channel))
        assert np.corrcoef(found, expected)[0, 1] > 0.99
        if name != "a.m4a":
            np.testing.assert_array_equal(found, expected)
    for channel in (-1, 2):
        with pytest.raises(RejectedError, match=f"no channel {channel}: there are 2, counted from 0"):
            convert(Recording(path, channel=channel), tmp_path / "none.flac")


def test_channels_of_what_cannot_be_read_have_a_reason(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound")
    with pytest.raises(RejectedError, match="not readable as audio"):
        channels(tmp_path / "a.wav")
    soundfile.write(tmp_path / "b.wav", voice(), 16_000)
    assert channels(tmp_path / "b.wav") == 1


# ---- cut and damaged

UNTOLD = ("live.webm", "a.avi", "a.mpg", "a.ts", "a.rm", "a.wma", "a.aac", "a.amr")  # a cut between packets passes
CUT = "damaged or truncated|truncated: the header promises"


@pytest.mark.parametrize("name", [*(name for name in KINDS if name not in UNTOLD), "film.mp4"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cut_file_is_noticed(contents, tmp_path, name, share):
    content = contents[name]
    assert any(word in reason(tmp_path / name, content[: int(len(content) * share)]) for word in CUT.split("|"))


@pytest.mark.parametrize("name", ["a.aac", "a.amr"])
def test_a_packet_that_is_broken_off_is_noticed(contents, tmp_path, name):
    assert "damaged or truncated at 8" in reason(tmp_path / name, contents[name][:-7])


@pytest.mark.parametrize("name", ["live.webm", "a.avi", "a.mpg"])
def test_what_no_header_promises_may_end_anywhere(contents, tmp_path, name):
    (tmp_path / name).write_bytes(contents[name][: len(contents[name]) // 2])
    assert duration(tmp_path / name) == pytest.approx(SECONDS / 2, abs=0.5)


# Of PCM, MPEG program streams and AVI nothing tells that bytes were replaced, of G.726 and RealAudio neither.
DEAF = ("a.mov", "24 bits.mov", "8 bits.avi", "a.avi", "a.mpg", "a.rm", "phone.wav")


@pytest.mark.parametrize("name", [*(name for name in KINDS if name not in DEAF), "film.mp4"])
def test_garbage_in_the_middle_is_noticed(contents, tmp_path, name):
    content, half = contents[name], len(contents[name]) // 2
    garbage = np.random.default_rng(0).bytes(len(content) // 12)
    found = reason(tmp_path / name, content[:half] + garbage + content[half + len(garbage) :])
    assert any(word in found for word in (*CUT.split("|"), "no sound from"))


@pytest.mark.parametrize("name", ["a.mka", "8 bits.wv", "a.tta"])
def test_a_bit_that_flips_is_noticed_where_there_are_checksums(contents, tmp_path, name):
    content = bytearray(contents[name])
    content[len(content) // 2] ^= 16
    assert "damaged or truncated at" in reason(tmp_path / name, bytes(content))


def test_sound_that_is_missing_between_packets_is_named_with_a_remedy(contents, tmp_path):
    (tmp_path / "a.webm").write_bytes(contents["a.webm"])
    with av.open(str(tmp_path / "a.webm")) as given, av.open(str(tmp_path / "my call.webm"), "w") as file:
        stream = file.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux(audio=0):
            if packet.dts is not None and not 3_000 <= packet.pts < 5_000:
                packet.stream = stream
                file.mux(packet)
    found = reason(tmp_path / "my call.webm", (tmp_path / "my call.webm").read_bytes())
    assert found.startswith("no sound from 3.014 s to 5.014 s: damaged, or recorded with gaps")
    assert found.endswith("fills with silence: ffmpeg -i 'my call.webm' -af aresample=async=1 'my call.wav'")


@pytest.mark.parametrize("skipped", [1, 40])
@pytest.mark.parametrize("name", ["a.m4a", "a.webm", "a.mka"])
def test_a_file_that_was_cut_out_of_another_is_good(contents, tmp_path, name, skipped):
    """Its first time stamp is not zero."""
    (tmp_path / "whole").write_bytes(contents[name])
    muxer = KINDS[name][0]
    with av.open(str(tmp_path / "whole")) as given, av.open(str(tmp_path / name), "w", format=muxer) as file:
        stream = file.add_stream_from_template(given.streams.audio[0])
        for number, packet in enumerate(given.demux(audio=0)):
            if packet.dts is not None and number >= skipped:
                packet.stream = stream
                file.mux(packet)
    assert SECONDS - 5 < duration(tmp_path / name) < SECONDS + 0.05


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_damage_is_more_than_a_reason(contents, tmp_path_factory, data):
    name = data.draw(st.sampled_from(sorted(contents)))
    content = bytearray(contents[name])
    places = st.integers(4, 400) | st.integers(4, len(content) - 1) | st.integers(len(content) - 600, len(content) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=12)):
        content[place] = value
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(content)
    try:
        with open_audio(path) as file:
            whole = sum(len(block) for block in mono_blocks(file))
            assert whole == file.frames
            part = sum(len(block) for block in mono_blocks(file, whole // 2, whole // 2 + 100))
            assert part == 100
    except RejectedError as error:
        assert str(error)
