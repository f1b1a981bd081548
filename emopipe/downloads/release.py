"""What a download is: the files of a published corpus, where they are to be had, and how to know them again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class File:
    """A file to fetch."""

    name: str  # its path below the folder it is fetched into
    urls: tuple[str, ...]  # that serve the same bytes, the best first
    size: int | None = None  # bytes, where it is published
    checksum: str = ""  # md5:... or sha256:..., where one is published
    limit: int = 1 << 20  # bytes taken at most, where the size is not known

    @property
    def largest(self) -> int:
        """The number of bytes that the file cannot have more of."""
        return self.limit if self.size is None else self.size


@dataclass(frozen=True)
class Archive:
    """A zip file that holds the corpus, perhaps below further folders and among other things."""

    file: File


@dataclass(frozen=True)
class Files:
    """The files of the corpus, each by itself."""

    files: tuple[File, ...]


@dataclass(frozen=True)
class Release:
    """The files of a corpus as published, and the ways to get them, the best first.

    ``digest`` is :func:`digest` of all of them. ``parts`` tells where to look for what is wrong in a large corpus: the
    first digits of the digest of those files whose names begin with the key.
    """

    names: tuple[str, ...]  # paths below the corpus's folder
    size: int  # bytes, of all of them together
    digest: str
    sources: tuple[Archive | Files, ...]
    parts: Mapping[str, str] = field(default_factory=dict)

    def mismatched(self, folder: Path) -> list[str]:
        """Return the names of files below ``folder`` that are absent, or not as published as far as one can tell."""
        found = fingerprints(folder, self.names)
        absent = [name for name in self.names if not found[name]]
        if absent or digest(found) == self.digest:
            return absent
        suspects = []
        for prefix, first in self.parts.items():
            part = {name: sha256 for name, sha256 in found.items() if name.startswith(prefix)}
            suspects += [] if digest(part).startswith(first) else list(part)
        return suspects or list(self.names)


def digest(fingerprints: Mapping[str, str]) -> str:
    """Return one sha256 for many files: that of the lines ``sha256sum`` prints for them, sorted by name.

    >>> digest({"b": "1" * 64, "a": "0" * 64}) == digest({"a": "0" * 64, "b": "1" * 64})
    True
    """
    lines = "".join(f"{fingerprints[name]}  {name}\n" for name in sorted(fingerprints))
    return hashlib.sha256(lines.encode()).hexdigest()


def fingerprints(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the sha256 of each named file below ``folder``, in hexadecimal; empty where there is none."""
    with ThreadPoolExecutor() as pool:  # hashing releases the interpreter's lock
        return dict(zip(names, pool.map(lambda name: _sha256(folder / name), names), strict=True))


def _sha256(path: Path) -> str:
    return checksum(path, "sha256") if path.is_file() else ""


def checksum(path: Path, algorithm: str) -> str:
    """Return the md5 or sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
