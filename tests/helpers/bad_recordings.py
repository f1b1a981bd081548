"""Recordings of every bad kind, and odd ones that are good; each with what becomes of it."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile

FRAMES = 8_000  # of a good recording, at 16 kHz
HEADER = 44  # bytes of a WAV file's


def voice(seed: int = 0, frames: int = FRAMES) -> np.ndarray:
    """Return noise that stays well below full scale."""
    return np.clip(np.random.default_rng(seed).standard_normal(frames) * 0.1, -0.9, 0.9)


def audio(values: np.ndarray, rate: int = 16_000, kind: str = "WAV", subtype: str | None = None) -> bytes:
    """Return an audio file's content."""
    buffer = io.BytesIO()
    soundfile.write(buffer, values, rate, format=kind, subtype=subtype)
    return buffer.getvalue()


GOOD = audio(voice())


def patched(offset: int, form: str, value: int) -> bytes:
    """Return a good WAV file whose header says something else at a byte."""
    content = bytearray(GOOD)
    struct.pack_into(form, content, offset, value)
    return bytes(content)


def spoilt(value: float) -> bytes:
    """Return a file of floats, one of which is another value."""
    return audio(np.r_[voice(), value], subtype="FLOAT")


def absurd_flac() -> bytes:
    """Return a FLAC file that promises the most samples its header has room for: 36 bits of them."""
    content = bytearray(audio(voice(), kind="FLAC"))
    content[21] |= 0x0F
    content[22:26] = b"\xff" * 4
    return bytes(content)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_broken_link(path: Path) -> None:
    path.symlink_to("never written.wav")


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def one_without_permission(path: Path) -> None:
    path.write_bytes(GOOD)
    path.chmod(0)


def nothing(path: Path) -> None:
    """Leave the file out."""


UNREADABLE = "not readable as audio: "
UNKNOWN = UNREADABLE + "Format not recognised"
BAD: dict[str, tuple[bytes | Callable[[Path], None], str]] = {  # what lies there, and the reason as a pattern
    # not a file
    "gone": (nothing, "missing file"),
    "a directory": (Path.mkdir, "missing file"),
    "a broken link": (a_broken_link, "missing file"),
    "a link to itself": (a_link_to_itself, "missing file"),
    "a pipe": (a_pipe, "missing file"),
    "n" * 300: (nothing, "cannot be opened: File name too long"),
    # not audio
    "empty": (b"", "empty file of 0 bytes"),
    "text": (b"Das will sie am Mittwoch abgeben.\n" * 30, UNKNOWN),
    "zero bytes": (bytes(16_044), UNKNOWN),
    "page": (b"<!DOCTYPE html><html><body><h1>404 Not Found</h1></body></html>", UNREADABLE + "a web page"),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 16044\n",
        UNREADABLE + "a pointer of Git LFS",
    ),
    "archive": (b"PK\x03\x04" + bytes(300), UNREADABLE + "an archive; unpack it"),
    "picture": (b"RIFF\x24\0\0\0WEBPVP8 " + bytes(30), UNREADABLE + "a picture"),
    "mpeg 4": (b"\0\0\0\x20ftypM4A \0\0\0\0" + bytes(300), UNREADABLE + "MPEG-4 "),
    "saved as UTF-8": (GOOD.decode("latin1").encode(), UNREADABLE),
    "with a byte order mark": (b"\xef\xbb\xbf" + GOOD, UNKNOWN),
    # cut short
    "half": (GOOD[: len(GOOD) // 2], r"truncated: the header promises 16000 bytes of audio, the file holds 7978"),
    "last byte gone": (GOOD[:-1], "truncated: the header promises 16000 bytes of audio, the file holds 15999"),
    "header alone": (GOOD[:HEADER], "truncated: .* holds 0"),
    "half a header": (GOOD[:30], UNREADABLE + "Error in WAV file"),
    "half an mp3": (audio(voice(), kind="MP3")[:1_500], "truncated"),
    "half a flac": (audio(voice(), kind="FLAC")[:5_000], "damaged or truncated"),
    # a header that lies
    "no channels": (patched(22, "<H", 0), UNREADABLE + "Channel count is zero"),
    "65535 channels": (patched(22, "<H", 65_535), UNREADABLE + "Too many channels"),
    "0 Hz": (patched(24, "<I", 0), UNREADABLE),
    "1 Hz": (patched(24, "<I", 1), "sample rate of 1 Hz, outside 2000 to 768000"),
    "4 GHz": (patched(24, "<I", 0xFFFFFFFF), UNREADABLE),
    "0 bits": (patched(34, "<H", 0), UNREADABLE),
    "unknown codec": (patched(20, "<H", 0x1234), UNREADABLE),
    "a gigabyte promised": (patched(40, "<I", 10**9), "truncated: the header promises 1000000000 bytes"),
    "no data promised": (patched(40, "<I", 0), "no samples"),
    "69 billion frames": (absurd_flac(), "damaged or truncated after 0 of 68719476735 frames"),
    # a sound that is none
    "no samples": (audio(np.zeros(0)), "no samples"),
    "399 samples": (audio(voice(frames=399)), "too short: 399 samples at 16000 Hz, fewer than 400"),
    "short at 48 kHz": (audio(voice(frames=1_000), 48_000), "too short: 333 samples"),
    "silence": (audio(np.zeros(FRAMES)), f"digital silence: all {FRAMES} samples are zero at 16 bit"),
    "below 16 bits": (audio(voice() * 1e-7, subtype="FLOAT"), "digital silence"),
    "opposite channels": (audio(np.column_stack([voice(), -voice()]), subtype="FLOAT"), "digital silence"),
    "constant": (audio(np.full(FRAMES, 0.5)), "constant signal: every sample is 0.5 of full scale"),
    "constant at 44 kHz": (audio(np.full(FRAMES, -1.0), 44_100), "constant signal: every sample is -1 of full scale"),
    "NaN": (spoilt(np.nan), r"1 NaN or infinite sample\(s\)"),
    "infinity": (spoilt(-np.inf), r"1 NaN or infinite sample\(s\)"),
    "beyond float32": (audio(np.r_[voice(), 1e300], subtype="DOUBLE"), r"1 NaN or infinite sample\(s\)"),
}
if os.geteuid():  # root may read everything
    BAD["without permission"] = (one_without_permission, "cannot be opened: Permission denied")

LOUD = voice() * 30  # most samples beyond full scale
ODD: dict[str, tuple[bytes, np.ndarray | int]] = {  # what looks bad and is not: its samples at 16 kHz, or their number
    "24 bit": (audio(np.rint(voice() * 32768) / 32768, subtype="PCM_24"), voice()),
    "float": (audio(voice(), subtype="FLOAT"), voice()),
    "float beyond full scale": (audio(LOUD, subtype="FLOAT"), np.clip(LOUD, -1, 1)),
    "clipped": (audio(np.sign(voice()) * 0.99), np.sign(voice()) * 0.99),
    "8 kHz": (audio(voice(1), 8_000), 2 * FRAMES),
    "stereo": (audio(np.column_stack([voice(2), np.zeros(FRAMES)])), voice(2) / 2),
    "5.1": (audio(np.column_stack([voice(3 + c) for c in range(6)])), sum(voice(3 + c) for c in range(6)) / 6),
    "10 minutes at 8 bits": (audio(voice(9, 4_800_000), 8_000, subtype="PCM_U8"), 9_600_000),
    "ä 悲しい ' \" , ;": (audio(voice(10)), voice(10)),
    "mp3 by content": (audio(voice(11), kind="MP3"), FRAMES),
    "flac by content": (audio(voice(12), kind="FLAC"), voice(12)),
    "riff size wrong": (patched(4, "<I", 10), voice()),
    "written to a pipe": (patched(40, "<I", 0xFFFFFFFF), voice()),
    "something behind the sound": (GOOD + b"LIST" + struct.pack("<I", 500) + bytes(500), voice()),
    "400 samples": (audio(voice(13, 400)), voice(13, 400)),
}
