"""Reading of audio files of any kind: fingerprint, duration, and decoding that notices what is wrong with them."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from tqdm import tqdm

from emopipe.recordings.containers import Container, ContainerError
from emopipe.recordings.kinds import conversion, told
from emopipe.recordings.streams import Stream, open_streams

# libsndfile shortens the frame count of a cut WAV, AIFF or AU file to what is there, and tells so in its log alone.
CUT = re.compile(r"^ *(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
# A program that writes WAV to a pipe cannot know the length, and claims about the largest that fits 31 or 32 bits.
PIPED = 2_000_000_000  # bytes
BLOCK = 1 << 16  # frames decoded at a time: memory stays flat however long the recording
UNKNOWN = 2**63 - 1  # libsndfile's frame count where the header gives none
HEADER = 44  # bytes, of the usual WAV file: recorders count them as sound
MISSING = "missing file"  # a reason
RATES = (2_000, 768_000)  # Hz; a header that claims less or more is broken, and 1 Hz would fill the disk

# How far a segment may reach beyond the end of its file: the times of a table are often rounded.
ROUNDED = 0.05  # s


class Recording(NamedTuple):
    """The audio of an utterance: a file, or the segment of it between two times in seconds.

    A time that is NaN is the file's own beginning or end. Of several channels one may be meant, counted from 0;
    None is the mean of all.
    """

    path: Path
    start: float = math.nan
    end: float = math.nan
    channel: int | None = None


class Converted(NamedTuple):
    """What is known of a recording that was converted to 16 kHz mono FLAC."""

    samples: int
    sha256: str  # of the FLAC file: the same for the same samples


class RejectedError(Exception):
    """The audio of an utterance cannot be used; the message is one phrase that says why."""


class TooShortError(RejectedError):
    """There is less of it than a network's first layers need."""


class SilentError(RejectedError):
    """There is no sound in it."""


def describe(recordings: Sequence[Recording]) -> list[tuple[str, float]]:
    """Return the sha256 of each recording's file, and the duration of the recording in seconds.

    ``("", nan)`` where there is no such file. A file is read once, however many of its segments are asked for.
    """
    paths = list(dict.fromkeys(recording.path for recording in recordings))
    with ThreadPoolExecutor() as pool:  # hashing and reading release the interpreter's lock
        found = tqdm(pool.map(_describe, paths), total=len(paths), desc="fingerprints", unit="file", disable=None)
        files = dict(zip(paths, found, strict=True))
    return [(files[one.path][0], _length(one, files[one.path][1])) for one in recordings]


def _length(recording: Recording, whole: float) -> float:
    start = 0.0 if math.isnan(recording.start) else recording.start
    end = whole if math.isnan(recording.end) else min(whole, recording.end)  # NaN where the whole is unknown
    return math.nan if math.isnan(whole) else max(0.0, end - start)


def _describe(path: Path) -> tuple[str, float]:
    try:
        # A pipe would be waited for, and a device read, for ever.
        return (fingerprint(path), duration(path)) if path.is_file() else ("", math.nan)
    except OSError:
        return "", math.nan


def fingerprint(path: Path) -> str:
    """Return the sha256 of the content of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def duration(path: Path) -> float:
    """Return the seconds that the headers of an audio file promise; NaN if they cannot be read.

    What FFmpeg reads is counted: its headers are often wrong.
    """
    try:
        with Audio(path) as file:
            return math.nan if file.frames >= UNKNOWN else file.frames / file.samplerate
    except (soundfile.SoundFileError, UnicodeEncodeError, RejectedError):
        return math.nan


class Audio:
    """An opened file of sound, all the streams of it one behind the other."""

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            soundfile.SoundFileError: if it is no audio
            RejectedError: if its streams do not go together
        """
        self.streams = open_streams(path)
        self.samplerate = self.streams[0].samplerate
        self.channels = self.streams[0].channels
        kinds = {(stream.samplerate, stream.channels) for stream in self.streams}
        if len(kinds) > 1:
            self.close()
            shown = " and ".join(f"{channels} channel(s) at {rate} Hz" for rate, channels in sorted(kinds))
            raise RejectedError(f"joined from files of several kinds, {shown}")
        self.frames = sum(stream.frames for stream in self.streams)

    def __enter__(self) -> Audio:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all streams."""
        for stream in self.streams:
            stream.close()

    def parts(self, first: int, last: int | None) -> Iterator[tuple[Stream | Container, int, int | None]]:
        """Yield the streams that hold the frames from ``first`` to before ``last``, each with those of its own."""
        begin = 0
        for stream in self.streams:
            end = begin + stream.frames
            if first < end:
                inner = last is not None and last <= end
                yield stream, max(0, first - begin), last - begin if inner else None
                if inner:
                    return
            begin = end


def open_audio(path: Path) -> Audio:
    """Open a recording.

    Raises:
        RejectedError: if the file is missing or may not be read, is not audio, was cut short, or promises no samples
    """
    try:
        if not path.is_file():
            raise RejectedError(MISSING)
        with path.open("rb") as content:  # libsndfile calls every refusal a system error
            if not content.read(1):
                raise RejectedError("empty file of 0 bytes")
    except OSError as error:
        raise RejectedError(f"cannot be opened: {error.strerror}") from None
    try:
        file = Audio(path)
    except ContainerError as error:
        raise RejectedError(str(error)) from None
    except UnicodeEncodeError:
        raise RejectedError("cannot be opened: its name is not UTF-8; rename it") from None
    except soundfile.SoundFileError as error:
        raise RejectedError(f"not readable as audio: {told(path) or _message(error)}") from None
    try:
        _check_header(file, path)
    except RejectedError:
        file.close()
        raise
    return file


def channels(path: Path) -> int:
    """Return the number of channels of a recording.

    Raises:
        RejectedError: as :func:`open_audio`
    """
    with open_audio(path) as file:
        return file.channels


def _check_header(file: Audio, path: Path) -> None:
    for stream in file.streams:
        cut = CUT.search(stream.log)
        if cut and int(cut[1]) < PIPED and not _counts_header(int(cut[1]), int(cut[2]), path.stat().st_size):
            raise RejectedError(f"truncated: the header promises {cut[1]} bytes of audio, the file holds {cut[2]}")
    if file.frames >= UNKNOWN:
        raise RejectedError(
            "no length in the header, as a program leaves it that was killed or wrote to a pipe; "
            f"write it anew: {conversion(path, path.suffix)}"
        )
    if file.frames == 0:
        raise TooShortError("no samples")
    if not RATES[0] <= file.samplerate <= RATES[1]:
        raise RejectedError(f"sample rate of {file.samplerate} Hz, outside {RATES[0]} to {RATES[1]}")


def _counts_header(promised: int, held: int, size: int) -> bool:
    """Return whether a header counts itself, or a part of itself, as sound; what else is missing was cut off.

    Args:
        promised: bytes of sound, by the header
        held: bytes of sound in the file
        size: of the file, in bytes
    """
    missing = promised - held
    return promised == size or (missing <= HEADER and missing % 4 == 0)


def segment(file: Audio, recording: Recording) -> tuple[int, int | None]:
    """Return the first frame of a recording in its file, and the one after its last; None where the file ends.

    Raises:
        RejectedError: if the times are the wrong way round, or beyond the end of the file
    """
    length = file.frames / file.samplerate
    start = 0.0 if math.isnan(recording.start) else recording.start
    if recording.end <= start:
        raise RejectedError(f"the segment ends at {recording.end:.6g} s and begins at {start:.6g} s")
    if start >= length or recording.end > length + ROUNDED:
        times = f"{start:.6g} s" + ("" if math.isnan(recording.end) else f" to {recording.end:.6g} s")
        raise RejectedError(f"the segment ({times}) reaches beyond the end of the file, at {length:.6g} s")
    last = None if math.isnan(recording.end) else min(round(recording.end * file.samplerate), file.frames)
    return round(start * file.samplerate), last


def mono_blocks(
    file: Audio, first: int = 0, last: int | None = None, channel: int | None = None
) -> Iterator[np.ndarray]:
    """Decode a recording block by block, as float32 with full scale ±1, one of the channels or the mean of all.

    A cut passes unnoticed where libsndfile keeps no trace of it: in Ogg, NIST, W64 and RF64 files, and in an MP3
    without a Xing header. What passes FFmpeg stands in :mod:`emopipe.recordings.containers`.

    Args:
        file: as it was opened
        first: frame to begin with
        last: frame to stop before; None: the end of the file
        channel: to keep, from 0; None: the mean of all

    Raises:
        RejectedError: if there is no such channel, the decoder fails, a sample is NaN or infinite, or less comes out
            than the header promised
    """
    for stream, begin, end in file.parts(first, last):
        for block in _blocks(stream, begin, end):
            yield _mixed(block, channel)


def _blocks(stream: Stream | Container, first: int, last: int | None) -> Iterator[np.ndarray]:
    """Decode the frames of one stream, [frames, channels]."""
    length = stream.frames
    frames, last = first, length if last is None else last
    while frames < last:
        try:
            if frames == first > 0:
                stream.seek(first)
            block = stream.read(min(BLOCK, last - frames))
        except soundfile.SoundFileError as error:
            raise RejectedError(f"damaged or truncated after {frames} of {length} frames: {_message(error)}") from None
        if not len(block):
            break
        bad = np.count_nonzero(~np.isfinite(block))
        if bad:
            raise RejectedError(f"{bad} NaN or infinite sample(s) in frames {frames} to {frames + len(block) - 1}")
        frames += len(block)
        yield block
    if frames < last:
        raise RejectedError(f"truncated: the header promises {length} frames, the file holds {frames}")


def mono(samples: np.ndarray) -> np.ndarray:
    """Return samples as :func:`mono_blocks` decodes them: float32 with full scale ±1, the channels averaged, [samples].

    Args:
        samples: floats of full scale ±1, or int16; [samples] or [samples, channels]

    Raises:
        RejectedError: if one is NaN or infinite
    """
    values = np.asarray(samples)
    block = values.astype(np.float32) / 32768 if values.dtype == np.int16 else values.astype(np.float32)
    bad = np.count_nonzero(~np.isfinite(block))
    if bad:
        raise RejectedError(f"{bad} NaN or infinite sample(s)")
    return _mixed(block[:, None] if block.ndim == 1 else block)


def _mixed(block: np.ndarray, channel: int | None = None) -> np.ndarray:
    """Return one channel, or the mean over all; NumPy's of one or two took longer than resampling does.

    Raises:
        RejectedError: if there is no such channel
    """
    if channel is not None:
        if not 0 <= channel < block.shape[1]:
            raise RejectedError(f"no channel {channel}: there are {block.shape[1]}, counted from 0")
        return block[:, channel]
    match block.shape[1]:
        case 1:
            return block[:, 0]
        case 2:
            return (block[:, 0] + block[:, 1]) / 2
        case _:
            return block.mean(axis=1)


def _message(error: Exception) -> str:
    """Return libsndfile's message without the path, which the reason names already."""
    return getattr(error, "error_string", str(error)).removeprefix("Error : ").strip().rstrip(".")
