"""Where the streams of a file begin and end: what a decoder that reads to the end of it finds.

libsndfile stops where a file's first header says that the sound ends. That is not the end of

* an MP3 of variable bit rate without a Xing frame, whose length it guesses from the bit rate of the beginning;
* files that were joined by copying one behind the other: MP3, Ogg ("chained", RFC 3533, section 4), FLAC and WAV.

So the structure of those formats is walked through, without decoding, and each stream is opened by itself. What
libsndfile does not read at all is left to :mod:`emopipe.recordings.containers`.
"""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from emopipe.recordings.containers import Container, open_container

FLAC_START = b"fLaC\x00\x00\x00\x22"  # the marker, and a block of the 34 bytes that every stream begins with
FLAC_ALONE = b"fLaC\x80\x00\x00\x22"  # the same where no other block follows
MARKS = {b"RIFF": "WAV", b"OggS": "OGG", b"fLaC": "FLAC"}
BEGINS_LINK = 0x02  # flag of the first page of a logical Ogg stream


class Window(io.RawIOBase):
    """A part of a file as a file of its own."""

    def __init__(self, path: Path, start: int, end: int, size: int = 0) -> None:
        """Open a part of a file.

        Args:
            path: of the file
            start: of the part, in bytes
            end: of the part
            size: to which zeros make it longer
        """
        self._file = path.open("rb")
        self._start = start
        self._end = end
        self._size = max(size, end - start)
        self._at = 0

    def close(self) -> None:
        """Close the file itself, too."""
        self._file.close()
        super().close()

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    def seekable(self) -> bool:
        """Return that any place of it can be gone to."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, as in any file."""
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._at

    def readinto(self, buffer: memoryview) -> int:
        """Read as many bytes as there are and fit."""
        place = self._start + self._at
        self._file.seek(place)
        data = self._file.read(max(0, min(len(buffer), self._end - place)))
        data = data.ljust(max(0, min(len(buffer), self._size - self._at)), b"\0")
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class Stream(NamedTuple):
    """An opened stream that libsndfile reads."""

    file: soundfile.SoundFile
    frames: int  # that it is said to have
    source: Path | Window

    @property
    def samplerate(self) -> int:
        """Return the frames in a second."""
        return self.file.samplerate

    @property
    def channels(self) -> int:
        """Return the number of channels."""
        return self.file.channels

    @property
    def log(self) -> str:
        """Return what libsndfile has noted of its header."""
        return self.file.extra_info

    def seek(self, frame: int) -> None:
        """Go to a frame.

        Raises:
            soundfile.SoundFileError: if it cannot be gone to
        """
        self.file.seek(frame)

    def read(self, count: int) -> np.ndarray:
        """Return the next frames, float32 with full scale ±1, [frames, channels]; fewer where the file ends.

        Raises:
            soundfile.SoundFileError: if they cannot be decoded
        """
        if self.file.subtype != "PCM_16":
            return self.file.read(count, dtype="float32", always_2d=True)
        # The same numbers as libsndfile's own, in a third of the time.
        return self.file.read(count, dtype="int16", always_2d=True).astype(np.float32) / 32768

    def close(self) -> None:
        """Close it."""
        self.file.close()
        if isinstance(self.source, Window):
            self.source.close()


def open_streams(path: Path) -> Sequence[Stream | Container]:
    """Open every stream of a file, in order; nearly always there is one, the file itself.

    Raises:
        soundfile.SoundFileError: if one cannot be opened
    """
    try:
        return _opened(path)
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: headerless .raw
        refused = error if isinstance(error, soundfile.SoundFileError) else soundfile.SoundFileRuntimeError(str(error))
    if found := open_container(path):
        return [found]
    raise refused


def _opened(path: Path) -> list[Stream]:
    if path.stat().st_size == 0:
        raise soundfile.SoundFileError("a file of 0 bytes")
    with path.open("rb") as content, mmap.mmap(content.fileno(), 0, access=mmap.ACCESS_READ) as data:
        parts = list(_parts(_kind(path, data), data))
    if len(parts) == 1 and parts[0].frames is None:
        return [_open(path)]
    return [_open(Window(path, part.start, part.end, part.size), part.frames) for part in parts]


def _open(source: Path | Window, frames: int | None = None) -> Stream:
    file = soundfile.SoundFile(source)
    return Stream(file, file.frames if frames is None else frames, source)


def _kind(path: Path, data: mmap.mmap) -> str:
    """Return the format; an MP3, which has no mark of its own at a certain place, is told by libsndfile."""
    if found := MARKS.get(data[:4]):
        return found
    with soundfile.SoundFile(path) as file:
        return file.format


class _Part(NamedTuple):
    """A stream within a file."""

    start: int  # in bytes
    end: int
    frames: int | None = None  # those that were counted; None: those that its header tells
    size: int = 0  # in bytes, to which it is made longer for a decoder that guesses the length from that


def _parts(kind: str, data: mmap.mmap) -> Iterator[_Part]:
    match kind:
        case "MP3":
            yield from _mp3s(data)
            return
        case "OGG":
            starts = list(_ogg_links(data))
        case "FLAC":
            starts = sorted({*_places(data, FLAC_START), *_places(data, FLAC_ALONE)})
        case "WAV":
            starts = list(_wavs(data))
        case _:
            starts = []
    starts = starts[1:]  # the first one, and what lies before it, is the beginning of the file
    for start, end in zip([0, *starts], [*starts, len(data)], strict=True):
        yield _Part(start, end)


def _places(data: mmap.mmap, marker: bytes) -> Iterator[int]:
    place = data.find(marker)
    while place >= 0:
        yield place
        place = data.find(marker, place + 1)


def _wavs(data: mmap.mmap) -> Iterator[int]:
    """Yield where each of several WAV files one behind the other begins."""
    place = 0
    while data[place : place + 4] == b"RIFF" and data[place + 8 : place + 12] == b"WAVE":
        yield place
        place += 8 + int.from_bytes(data[place + 4 : place + 8], "little")


def _ogg_links(data: mmap.mmap) -> Iterator[int]:
    """Yield where each link of a chain begins: at a first page that follows one which is none."""
    place, before = data.find(b"OggS"), 0
    while place >= 0 and len(data) >= place + 27:
        first = data[place + 5] & BEGINS_LINK
        if first and not before:
            yield place
        before = first
        table = data[place + 27 : place + 27 + data[place + 26]]
        place = data.find(b"OggS", place + 27 + len(table) + sum(table))


# ---- MP3


class _Frame(NamedTuple):
    """The header of an MPEG audio frame of layer III."""

    version: int  # 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    rate: int  # index of the sample rate
    mono: bool
    size: int  # in bytes

    @property
    def samples(self) -> int:
        """Return the frames of sound in it."""
        return 1152 if self.version == 3 else 576

    @property
    def side(self) -> int:
        """Return the bytes of side information, after which a Xing frame has its data."""
        return (17 if self.mono else 32) if self.version == 3 else (9 if self.mono else 17)


LARGEST = 1441  # bytes of a frame of layer III
RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
BIT_RATES = {  # kbit/s
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def _frame(header: bytes) -> _Frame | None:
    """Return what the four bytes of a header say; None if they are none."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:  # the synchronisation, and layer III
        return None
    version, bits, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bits in (0, 15) or rate == 3:
        return None
    return _Frame(version, rate, header[3] >> 6 == 3, _size(header))


def _size(header: bytes) -> int:
    """Return the bytes of a frame of layer III."""
    version, bits, rate, padding = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    kilobits = BIT_RATES[3 if version == 3 else 2][bits - 1]
    return (144 if version == 3 else 72) * kilobits * 1000 // RATES[version][rate] + padding


def _frames(data: mmap.mmap) -> Iterator[tuple[int, _Frame]]:
    """Yield the whole frames, each with its place; what lies before, between and behind them is passed over."""
    place, known = 0, None
    while (place := _next_frame(data, place, known)) is not None:
        frame = _frame(data[place : place + 4])
        known = frame.version, frame.rate
        while frame is not None and (frame.version, frame.rate) == known and place + frame.size <= len(data):
            yield place, frame
            place += frame.size
            frame = _frame(data[place : place + 4])


def _next_frame(data: mmap.mmap, place: int, known: tuple[int, int] | None) -> int | None:
    """Return where the next frame begins after something else; it must be followed by another, or by the end."""
    while data[place : place + 3] == b"ID3":  # a picture within such a tag may look like frames
        place += 10 + sum(
            (byte & 0x7F) << shift for byte, shift in zip(data[place + 6 : place + 10], (21, 14, 7, 0), strict=False)
        )
    while (place := data.find(b"\xff", place)) >= 0:
        frame = _frame(data[place : place + 4])
        # Of another rate there may be another file behind, which tells its length; all else is bytes by chance.
        if frame is not None and (known in (None, (frame.version, frame.rate)) or _told(data, place, frame)):
            end = place + frame.size
            if end == len(data) or _frame(data[end : end + 4]) is not None:
                return place
        place += 1
    return None


def _mp3s(data: mmap.mmap) -> Iterator[_Part]:
    """Yield the MP3 files of which a file is made: a Xing or VBRI frame begins another one.

    The number of frames that a Xing frame tells is believed where there are no more of them: with fewer, the file was
    cut, which is found out when it is read. A VBRI frame, Fraunhofer's, is one that libsndfile does not understand.
    """
    links: list[_Link] = []
    for place, frame in _frames(data):
        told = _told(data, place, frame)
        if told or not links:
            links.append(_Link(place if links else 0, told, frame))
        if not told:
            links[-1].sound = place if links[-1].sound is None else links[-1].sound
            links[-1].number += 1
    if not links:
        yield _Part(0, len(data))
        return
    ends = [link.start for link in links[1:]] + [len(data)]
    for link, end in zip(links, ends, strict=True):
        kind, promised = link.told or ("", 0)
        if link.sound is None or (kind == "Xing" and link.number <= promised + 1):  # some do not count the last one
            yield _Part(link.start, end)
        else:
            frames = max(link.number, promised) * link.frame.samples
            yield _Part(link.sound, end, frames, (link.number + 2) * LARGEST)


@dataclass
class _Link:
    """One of the MP3 files of which a file is made."""

    start: int  # in bytes
    told: tuple[str, int] | None  # what its first frame tells
    frame: _Frame  # the first
    sound: int | None = None  # where its first frame of sound begins
    number: int = 0  # of frames of sound


def _told(data: mmap.mmap, place: int, frame: _Frame) -> tuple[str, int] | None:
    """Return the number of frames that the first one tells, and in which form; None if it is a frame of sound."""
    xing, vbri = place + 4 + frame.side, place + 4 + 32
    if data[xing : xing + 4] in (b"Xing", b"Info") and data[xing + 7] & 1:
        return "Xing", int.from_bytes(data[xing + 8 : xing + 12], "big")
    if data[vbri : vbri + 4] == b"VBRI":
        return "VBRI", int.from_bytes(data[vbri + 14 : vbri + 18], "big")
    return None
