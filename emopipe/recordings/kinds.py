"""What a file is that libsndfile cannot read, told from its first bytes, and what to do about it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ENOUGH = 4096  # bytes
# Sound, and pictures with sound, that ffmpeg makes a WAV file of.
SOUND = (
    (rb"(?s)....ftyp(?!avif|heic|mif1)", "MPEG-4 (m4a, mp4, mov, 3gp)"),
    (rb"#!AMR", "AMR"),
    (rb"(?s).?#!SILK", "SILK"),
    (rb"\x1aE\xdf\xa3", "Matroska (webm, mka, mkv)"),
    (rb"0&\xb2u\x8ef\xcf\x11|0&\xb2u", "Windows Media (wma, wmv, asf)"),
    (rb"(?s)\xff[\xf0\xf1\xf8\xf9]|ADIF", "AAC"),
    (rb"(?s)RIFF....AVI ", "AVI"),
    (rb"FLV", "Flash video"),
    (rb"\x00\x00\x01[\xba\xb3]|(?s:G.{187}G)", "MPEG video"),
    (rb"\.RMF|\.ra\xfd", "RealAudio"),
    (rb"MAC ", "Monkey's Audio (ape)"),
    (rb"wvpk", "WavPack"),
    (rb"TTA[12]", "True Audio"),
    (rb"MPCK|MP\+", "Musepack"),
    (rb"DSD |FRM8", "DSD"),
    (rb"(?s)OggS.{24,282}?(Speex|\x80theora)", "Ogg with Speex or a video"),
)
OTHERS = (
    (rb"version https://git-lfs", "a pointer of Git LFS in place of the recording; `git lfs pull` brings it"),
    (rb"(?i)\s*(<!doctype html|<html)", "a web page, as a failed download leaves it; download it again"),
    (rb"(?i)\s*(<\?xml|\{)", "XML or JSON, as a refused download leaves it; download it again"),
    (rb"PK\x03\x04|\x1f\x8b|Rar!|7z\xbc\xaf|BZh|\xfd7zXZ", "an archive; unpack it"),
    (rb"%PDF", "a PDF"),
    (rb"(?s)\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP", "a picture"),
)


def told(path: Path) -> str:
    """Return what a file is, and how to come to a recording that can be read; empty if that is not known.

    Args:
        path: of a file that libsndfile refused
    """
    with path.open("rb") as file:
        beginning = file.read(ENOUGH)
    for pattern, kind in SOUND:
        if re.match(pattern, beginning):
            return f"{kind}, which libsndfile does not read; convert it: {conversion(path, '.wav')}"
    return next((kind for pattern, kind in OTHERS if re.match(pattern, beginning)), "")


def conversion(path: Path, suffix: str) -> str:
    """Return the command that writes a recording as a file that can be read.

    >>> conversion(Path("clips/my call.m4a"), ".wav"), conversion(Path("a.flac"), ".flac")
    ("ffmpeg -i 'my call.m4a' 'my call.wav'", 'ffmpeg -i a.flac a_converted.flac')
    """
    target = f"{path.stem}{'_converted' if path.suffix == suffix else ''}{suffix}"
    return f"ffmpeg -i {shlex.quote(path.name)} {shlex.quote(target)}"
