"""Sound in containers that libsndfile does not read (m4a, webm, wma, amr, videos, ...), decoded by FFmpeg through PyAV.

PyAV is optional: ``pip install 'emopipe[av]'``. A file is given to it only where its first bytes are those of a format
of :mod:`emopipe.recordings.kinds`, and to the demuxer of that format: FFmpeg would guess, take a text for a playlist,
and open what that names.

What is decoded is what ``ffmpeg -i`` writes into a WAV file: the first sound track, without the encoder's delay where
the container tells that, counted from its first sample. Numbers are those of the decoder in the release of FFmpeg that
PyAV carries; another release may differ in the last bits.

FFmpeg goes on behind most faults. So a file is decoded once from beginning to end when it is opened, which gives its
length in samples, and it is refused

* where a packet is broken off, or the decoder reports an error or a wrong checksum;
* where sound is missing between two packets, by their times, as when a container's blocks are damaged. Recordings of
  calls that send nothing during pauses look the same, and would be shortened;
* where the packets of all tracks end before the length that the header promises.

A cut passes unnoticed between two packets where no header tells the length, as in AAC, AMR, MPEG and what a browser
records, and where FFmpeg does not believe the header, as in AVI and Windows Media. Damage passes within a packet of a
codec that has no checksum and gives a meaning to any bits, as AMR, MP3, Opus, PCM and WMA do: it is heard as noise.

A segment begins at the very sample that its time says. Where a codec fills bands with noise of its own, as AAC and AC-3
do, that noise depends on where the decoder began: the segment is not the slice of the whole to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import soundfile

from emopipe.recordings.kinds import Kind, conversion, kind_of

if TYPE_CHECKING:
    import av

# Of sound that a folder is searched for where PyAV is there, beside what libsndfile reads.
SUFFIXES = (".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".3gp", ".webm", ".mka", ".mkv", ".wma", ".wmv", ".amr", ".aac")
SUFFIXES += (".avi", ".flv", ".mpg", ".mpeg", ".ape", ".wv", ".tta", ".mpc", ".spx")
GUESSED = ("aac", "amr", "asf", "avi", "mpeg", "mpegts", "rm")  # demuxers whose length may be a guess of FFmpeg's
MICROSECONDS = 1_000_000  # FFmpeg's times of a whole file are in them
TOLERANCE = 0.2  # s; writers round lengths, clocks of recorders jitter
WARM = 1  # s of sound, at least, that a decoder which has jumped decodes before it is listened to
LOCAL = {"protocol_whitelist": "file"}  # whatever a file asks for
CHECKS = "crccheck+explode"  # wrong checksums are errors


class ContainerError(soundfile.SoundFileError):
    """A file is in a format that FFmpeg reads, but its sound cannot be had; the message is one phrase that says why."""


class Sound(NamedTuple):
    """What decoding the whole of a file has told of its sound."""

    samplerate: int
    channels: int
    frames: int
    anchors: np.ndarray  # int64 [anchors, 2]: time stamps WARM or more apart, and the frames that begin there


def installed() -> bool:
    """Return whether PyAV is there."""
    return find_spec("av") is not None


def open_container(path: Path) -> Container | None:
    """Open a file that libsndfile has refused; None if FFmpeg does not read its format either, or PyAV is not there.

    Raises:
        ContainerError: if there is no sound in it, or it is damaged or truncated
    """
    kind = kind_of(path)
    return Container(path, kind) if kind and kind.demuxer and installed() else None


class Container:
    """The first sound track of a file, read as a :class:`emopipe.recordings.streams.Stream` is."""

    log = ""

    def __init__(self, path: Path, kind: Kind) -> None:
        """Open a file.

        Raises:
            ContainerError: if there is no sound in it, or it is damaged or truncated
        """
        self._path, self._kind = path, kind
        status = path.stat()
        self._sound = _sound(path, kind, status.st_size, status.st_mtime_ns)
        self.samplerate, self.channels, self.frames, _ = self._sound
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Go to a frame."""
        self._blocks = _blocks(self._path, self._kind, self._sound, frame)
        self._rest = np.empty((0, self.channels), np.float32)  # decoded and not yet read

    def read(self, count: int) -> np.ndarray:
        """Return the next frames, float32 with full scale ±1, [frames, channels]; fewer where the file ends.

        Raises:
            ContainerError: if they cannot be decoded
        """
        parts, held = [self._rest], len(self._rest)
        while held < count and (block := next(self._blocks, None)) is not None:
            parts.append(block)
            held += len(block)
        samples = np.concatenate(parts)
        self._rest = samples[count:].copy()
        return samples[:count]

    def close(self) -> None:
        """Close the file."""
        self._blocks.close()


@lru_cache(maxsize=64)  # a table may name many segments of a file
def _sound(path: Path, kind: Kind, size: int, changed: int) -> Sound:
    """Decode a file from beginning to end, and return what that tells.

    Args:
        path: of the file
        kind: its format
        size: of the file, in bytes
        changed: when it was last written to; with the size it tells a file from a later one of the same name

    Raises:
        ContainerError: if there is no sound in it, or it is damaged or truncated
    """
    form: tuple[int, int] | None = None  # sample rate, channels
    frames, last, ordered = 0, -math.inf, True
    stamps: list[tuple[int, int]] = []
    due, ended = math.inf, -math.inf  # when the next frame is to begin, when the last packet of any track ends; seconds
    with _opened(path, kind) as (file, stream):
        promised = -math.inf
        if file.duration is not None and kind.demuxer not in GUESSED:
            # Some count from the first packet and some from zero; the earlier of both is what is certainly promised.
            promised = (min(file.start_time or 0, 0) + file.duration) / MICROSECONDS
        for packet, decoded in _decoded(file, stream, *file.streams):
            if (began := packet.dts if packet.pts is None else packet.pts) is not None:
                ended = max(ended, float((began + (packet.duration or 0)) * packet.time_base))
            for frame in decoded:
                found = frame.sample_rate, frame.layout.nb_channels
                form = form or found
                if found != form:
                    raise ContainerError(f"sound of several kinds, {_shown(*form)} and then {_shown(*found)}")
                if frame.pts is not None:
                    time = float(frame.pts * stream.time_base)
                    if due + TOLERANCE < time:
                        raise ContainerError(_missing(path, due, time))
                    due, ordered, last = time, ordered and frame.pts > last, frame.pts
                    if not stamps or frames - stamps[-1][1] >= WARM * form[0]:
                        stamps.append((frame.pts, frames))
                frames += frame.samples
                due += frame.samples / form[0]
    if promised - ended > TOLERANCE:
        raise ContainerError(f"truncated: the header promises {promised:.6g} s, the file ends at {ended:.6g} s")
    anchors = np.array(stamps if ordered else [], np.int64).reshape(-1, 2)
    return Sound(*(form or (1, 1)), frames, anchors)  # of a file without a sample neither is asked for


def _blocks(path: Path, kind: Kind, sound: Sound, first: int, jump: bool = True) -> Iterator[np.ndarray]:
    """Yield the sound from a frame on as the decoder gives it, float32 with full scale ±1, [frames, channels].

    The decoder begins one anchor before the last that lies before the frame, and what comes out up to that anchor is
    dropped: it has warmed up then, and the time stamp tells which frame begins there. Some demuxers land behind the
    place that they were told, or give other time stamps after a jump: then it begins at the beginning.
    """
    from av.stream import Discard

    number = int(np.searchsorted(sound.anchors[:, 1], first, side="right")) - 1
    place = None if jump and number > 0 else 0
    try:
        with _opened(path, kind) as (file, stream):
            for other in file.streams:
                if other.index != stream.index:
                    other.discard = Discard.all
            if place is None:
                file.seek(int(sound.anchors[number - 1, 0]), stream=stream)
            for _, decoded in _decoded(file, stream, stream):
                for frame in decoded:
                    if place is None and frame.pts == sound.anchors[number, 0]:
                        place = int(sound.anchors[number, 1])
                    if place is not None:
                        if place + frame.samples > first:
                            yield _samples(frame)[max(0, first - place) :]
                        place += frame.samples
    except ContainerError:
        if place is not None:
            raise
    if place is None:
        yield from _blocks(path, kind, sound, first, jump=False)


@contextmanager
def _opened(path: Path, kind: Kind) -> Iterator[tuple[av.container.InputContainer, av.AudioStream]]:
    """Open a file, and find its first sound track."""
    import av  # optional, and half a second

    try:
        with av.open(f"file:{path}", format=kind.demuxer, options=LOCAL, metadata_errors="ignore") as file:
            if not file.streams.audio:
                raise ContainerError("a video without sound" if file.streams.video else "no sound track in the file")
            stream = file.streams.audio[0]
            if stream.codec_context is None:
                raise ContainerError(f"not readable as audio: {kind.name} with a codec that FFmpeg does not decode")
            stream.codec_context.options = {"err_detect": CHECKS}
            yield file, stream
    except (av.FFmpegError, OSError) as error:
        raise ContainerError(
            f"not readable as audio: {kind.name}, damaged or truncated: {error.strerror or error}"
        ) from None


def _decoded(
    file: av.container.InputContainer, stream: av.AudioStream, *tracks: av.stream.Stream
) -> Iterator[tuple[av.Packet, list[av.AudioFrame]]]:
    """Yield the packets of some tracks, each with what is decoded of it if it is one of the sound track.

    Raises:
        ContainerError: at the first that is broken off or cannot be decoded
    """
    import av

    time = 0.0
    try:
        for packet in file.demux(*tracks):
            time = time if packet.pts is None else float(packet.pts * packet.time_base)
            own = packet.stream_index == stream.index
            if own and packet.is_corrupt:
                raise ContainerError(f"damaged or truncated at {time:.6g} s")
            yield packet, packet.decode() if own else []
    except IndexError:  # at the end PyAV asks for the rest of tracks, too, that appeared after the file was opened
        return
    except av.FFmpegError as error:
        raise ContainerError(f"damaged or truncated at {time:.6g} s: {error.strerror}") from None


def _samples(frame: av.AudioFrame) -> np.ndarray:
    """Return the samples of a frame, float32 with full scale ±1, [frames, channels]."""
    values = frame.to_ndarray()  # [channels, frames], or [1, frames x channels] where they take turns
    values = values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels)
    match values.dtype.kind:
        case "f":
            return values.astype(np.float32)
        case "u":  # 8 bits, with 128 for zero
            return (values.astype(np.float32) - 128) / 128
        case _:
            return values.astype(np.float32) / 2.0 ** (8 * values.dtype.itemsize - 1)


def _shown(rate: int, channels: int) -> str:
    return f"{channels} channel(s) at {rate} Hz"


def _missing(path: Path, start: float, end: float) -> str:
    return (
        f"no sound from {start:.6g} s to {end:.6g} s: damaged, or recorded with gaps, which this fills with silence: "
        f"{conversion(path, '.wav', '-af aresample=async=1')}"
    )
