"""Unpacking of an untrusted archive: nothing is written outside the folder, nothing larger than the corpus."""

from __future__ import annotations

import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    ValueError,
)  # what zipfile raises for bad bytes


class ArchiveError(Exception):
    """An archive is broken, hostile, or not the published one; the message says how."""


def unpack(archive: Path, names: Sequence[str], size: int, folder: Path) -> None:
    """Write the files ``names`` of a zip file below ``folder``, and nothing else.

    Above them the archive may have further folders: ``emodb_2.0/wav/a.wav`` is ``wav/a.wav``.

    Args:
        archive: the zip file
        names: paths below ``folder``, with slashes
        size: bytes that the files have together
        folder: where they go; it is made

    Raises:
        ArchiveError: if a member would leave the folder, is no plain file, or two have one name; if the files are not
            all there, or have another size together
        OSError: if a file cannot be written
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = _choose(zipped.infolist(), names)
            announced = sum(member.file_size for member in members.values())
            if announced != size:  # a bomb, too: reading stops where the announced size is reached
                raise ArchiveError(f"holds {announced} bytes of the corpus; published are {size}")
            for name, member in members.items():
                if not 0 <= member.header_offset < archive.stat().st_size:
                    raise zipfile.BadZipFile(f"{name} is declared to lie outside of it")
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(member) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out)
    except BROKEN as error:
        raise ArchiveError(f"not a whole zip file ({error})") from None


def _choose(members: Sequence[zipfile.ZipInfo], names: Sequence[str]) -> dict[str, zipfile.ZipInfo]:
    """Return the member of each name; a single hostile member, wanted or not, is an error."""
    wanted = set(names)
    depths = {name.count("/") + 1 for name in names}
    chosen: dict[str, zipfile.ZipInfo] = {}
    for member in members:
        _refuse_hostile(member)
        parts = member.filename.split("/")
        for name in wanted.intersection("/".join(parts[-depth:]) for depth in depths):
            if name in chosen:
                raise ArchiveError(f"holds {name} twice")
            chosen[name] = member
    if absent := sorted(wanted - set(chosen)):
        raise ArchiveError(f"lacks {len(absent)} of {len(wanted)} files, {absent[0]} the first")
    return chosen


def _refuse_hostile(member: zipfile.ZipInfo) -> None:
    name = member.orig_filename
    absolute = PurePosixPath(name).is_absolute() or PureWindowsPath(name).anchor
    if absolute or "\\" in name or "\0" in name or ".." in name.split("/"):
        raise ArchiveError(f"holds {name!r}, which lies outside of any folder")
    kind = stat.S_IFMT(member.external_attr >> 16)  # as Unix writes it; 0 elsewhere
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ArchiveError(f"holds {name!r}, which is a link or a device")
    if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ArchiveError(f"holds {name!r}, which is encrypted or compressed in an unusual way")
