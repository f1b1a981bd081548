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

BLOCK = 1 << 16  # frames decoded at a time: memory stays flat however long the recording

# libsndfile shortens the frame count of a cut WAV, AIFF or AU file to what is there, and tells so in its log alone.
CUT = re.compile(r"^ *(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
# A program that writes WAV to a pipe cannot know the length, and claims about the largest that fits 31 or 32 bits.
PIPED = 2_000_000_000  # bytes
UNKNOWN = 2**63 - 1  # libsndfile's frame count where the header gives none
RATES = (2_000, 768_000)  # Hz; a header that claims less or more is broken, and 1 Hz would fill the disk


# How far a segment may reach beyond the end of its file: the times of a table are often rounded.
ROUNDED = 0.05  # s


class Recording(NamedTuple):
    """The audio of an utterance: a file, or the segment of it between two times in seconds.

    A time that is NaN is the file's own beginning or end.
    """

    path: Path
    start: float = math.nan
    end: float = math.nan


class Converted(NamedTuple):
    """What is known of a recording that was converted to 16 kHz mono FLAC."""

    samples: int
    sha256: str  # of the FLAC file: the same for the same samples


class RejectedError(Exception):
    """The audio of an utterance cannot be used; the message is one phrase that says why."""


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
    """Return the seconds that the header of an audio file promises; NaN if it cannot be read."""
    try:
        with soundfile.SoundFile(path) as file:
            return math.nan if file.frames == UNKNOWN else file.frames / file.samplerate
    except (soundfile.SoundFileError, TypeError):
        return math.nan


def open_audio(path: Path) -> soundfile.SoundFile:
    """Open a recording.

    Raises:
        RejectedError: if the file is missing or may not be read, is not audio, was cut short, or promises no samples
    """
    try:
        if not path.is_file():
            raise RejectedError("missing file")
        with path.open("rb") as content:  # libsndfile calls every refusal a system error
            if not content.read(1):
                raise RejectedError("empty file of 0 bytes")
    except OSError as error:
        raise RejectedError(f"cannot be opened: {error.strerror}") from None
    try:
        file = soundfile.SoundFile(path)
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: headerless .raw
        raise RejectedError(f"not readable as audio: {_message(error)}") from None
    try:
        _check_header(file)
    except RejectedError:
        file.close()
        raise
    return file


def _check_header(file: soundfile.SoundFile) -> None:
    cut = CUT.search(file.extra_info)
    if cut and int(cut[1]) < PIPED:
        raise RejectedError(f"truncated: the header promises {cut[1]} bytes of audio, the file holds {cut[2]}")
    if file.frames == UNKNOWN:
        raise RejectedError("no length in the header, as a program leaves it that was killed or wrote to a pipe")
    if file.frames == 0:
        raise RejectedError("no samples")
    if not RATES[0] <= file.samplerate <= RATES[1]:
        raise RejectedError(f"sample rate of {file.samplerate} Hz, outside {RATES[0]} to {RATES[1]}")


def segment(file: soundfile.SoundFile, recording: Recording) -> tuple[int, int | None]:
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


def mono_blocks(file: soundfile.SoundFile, first: int = 0, last: int | None = None) -> Iterator[np.ndarray]:
    """Decode a recording block by block, as float32 with full scale ±1, the channels averaged.

    A cut passes unnoticed where libsndfile keeps no trace of it: in Ogg, NIST, W64 and RF64 files, and in an MP3
    without a Xing header.

    Args:
        file: as it was opened
        first: frame to begin with
        last: frame to stop before; None: the end of the file

    Raises:
        RejectedError: if the decoder fails, a sample is NaN or infinite, or less comes out than the header promised
    """
    frames = first
    short = file.subtype == "PCM_16"
    while last is None or frames < last:
        count = BLOCK if last is None else min(BLOCK, last - frames)
        try:
            if frames == first > 0:
                file.seek(first)
            block = file.read(count, dtype="int16" if short else "float32", always_2d=True)
        except soundfile.SoundFileError as error:
            raise RejectedError(
                f"damaged or truncated after {frames} of {file.frames} frames: {_message(error)}"
            ) from None
        if not len(block):
            break
        bad = np.count_nonzero(~np.isfinite(block))
        if bad:
            raise RejectedError(f"{bad} NaN or infinite sample(s) in frames {frames} to {frames + len(block) - 1}")
        frames += len(block)
        if short:
            block = block.astype(np.float32) / 32768  # the same numbers as libsndfile's own, in a third of the time
        yield _average(block)
    if frames < (file.frames if last is None else last):
        raise RejectedError(f"truncated: the header promises {file.frames} frames, the file holds {frames}")


def _average(block: np.ndarray) -> np.ndarray:
    """Return the mean over the channels; that of one or two took NumPy longer than resampling does."""
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
