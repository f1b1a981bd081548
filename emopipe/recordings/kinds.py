"""What a file is that libsndfile cannot read, told from its first bytes, and what to do about it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import NamedTuple

ENOUGH = 4096  # bytes


class Kind(NamedTuple):
    """A format that libsndfile does not read."""

    pattern: bytes  # of the first bytes
    name: str
    demuxer: str  # FFmpeg's; empty where it has none


MPEG4 = "MPEG-4 (m4a, mp4, mov, 3gp)"
MPEG = "MPEG video"
# Numbers of codecs in WAV files: TrueSpeech, G.723.1, G.726, G.729, Windows Media, AC-3, DTS.
CODECS = rb"[\x22\x42\x45\x64\x83]\x00|[\x60-\x62]\x01|[\x00\x01]\x20"
# Sound, and pictures with sound.
SOUND = (
    Kind(rb"(?s)....(ftyp(?!avif|heic|mif1)|moov|wide)", MPEG4, "mov"),
    Kind(rb"#!AMR", "AMR", "amr"),
    Kind(rb"(?s).?#!SILK", "SILK", ""),
    Kind(rb"\x1aE\xdf\xa3", "Matroska (webm, mka, mkv)", "matroska"),
    Kind(rb"0&\xb2u\x8ef\xcf\x11|0&\xb2u", "Windows Media (wma, wmv, asf)", "asf"),
    Kind(rb"(?s)\xff[\xf0\xf1\xf8\xf9]", "AAC", "aac"),
    Kind(rb"ADIF", "AAC", ""),
    Kind(rb"(?s)RIFF....AVI ", "AVI", "avi"),
    Kind(rb"(?s)RIFF....WAVE.{0,512}?fmt ....(%b)" % CODECS, "WAV with a codec of telephones or videos", "wav"),
    Kind(rb"FLV", "Flash video", "flv"),
    Kind(rb"\x00\x00\x01\xba", MPEG, "mpeg"),
    Kind(rb"(?s:G.{187}G)", MPEG, "mpegts"),
    Kind(rb"\x00\x00\x01\xb3", MPEG, "mpegvideo"),
    Kind(rb"\.RMF|\.ra\xfd", "RealAudio", "rm"),
    Kind(rb"MAC ", "Monkey's Audio (ape)", "ape"),
    Kind(rb"wvpk", "WavPack", "wv"),
    Kind(rb"TTA[12]", "True Audio", "tta"),
    Kind(rb"MPCK", "Musepack", "mpc8"),
    Kind(rb"MP\+", "Musepack", "mpc"),
    Kind(rb"DSD ", "DSD", "dsf"),
    Kind(rb"FRM8", "DSD", "iff"),
    Kind(rb"(?s)OggS.{24,282}?(Speex|\x80theora)", "Ogg with Speex or a video", "ogg"),
)
OTHERS = (
    (rb"version https://git-lfs", "a pointer of Git LFS in place of the recording; `git lfs pull` brings it"),
    (rb"(?i)\s*(<!doctype html|<html)", "a web page, as a failed download leaves it; download it again"),
    (rb"(?i)\s*(<\?xml|\{)", "XML or JSON, as a refused download leaves it; download it again"),
    (rb"PK\x03\x04|\x1f\x8b|Rar!|7z\xbc\xaf|BZh|\xfd7zXZ", "an archive; unpack it"),
    (rb"%PDF", "a PDF"),
    (rb"(?s)\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP", "a picture"),
)


def kind_of(path: Path) -> Kind | None:
    """Return the format of a file that libsndfile refused; None if that is not known."""
    return _kind(_beginning(path))


def told(path: Path) -> str:
    """Return what a file is, and how to come to a recording that can be read; empty if that is not known.

    Args:
        path: of a file that libsndfile refused, and for which there is no PyAV
    """
    beginning = _beginning(path)
    if kind := _kind(beginning):
        remedy = "`pip install 'emopipe[av]'` makes it readable, or convert it" if kind.demuxer else "convert it"
        return f"{kind.name}, which libsndfile does not read; {remedy}: {conversion(path, '.wav')}"
    return next((kind for pattern, kind in OTHERS if re.match(pattern, beginning)), "")


def _kind(beginning: bytes) -> Kind | None:
    return next((kind for kind in SOUND if re.match(kind.pattern, beginning)), None)


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(ENOUGH)


def conversion(path: Path, suffix: str, options: str = "") -> str:
    """Return the command that writes a recording as a file that can be read.

    >>> conversion(Path("clips/my call.m4a"), ".wav"), conversion(Path("a.flac"), ".flac")
    ("ffmpeg -i 'my call.m4a' 'my call.wav'", 'ffmpeg -i a.flac a_converted.flac')
    """
    target = f"{path.stem}{'_converted' if path.suffix == suffix else ''}{suffix}"
    return " ".join(["ffmpeg -i", shlex.quote(path.name), *([options] if options else []), shlex.quote(target)])
