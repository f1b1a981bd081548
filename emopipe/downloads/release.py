"""The description of a download: the files of a published corpus, their checksums, and the sources that have them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
        """The number of bytes that the file has at most."""
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
    """The files of a corpus as published, and the sources that have them, the best first."""

    checksums: Mapping[str, str]  # sha256 in hexadecimal of each file, by its path below the corpus's folder
    size: int  # bytes, of all files together
    sources: tuple[Archive | Files, ...]

    def mismatched(self, folder: Path) -> list[str]:
        """Return the names of the files below ``folder`` that are absent or not as published."""
        paths = [folder / name for name in self.checksums]
        with ThreadPoolExecutor() as pool:  # hashing releases the interpreter's lock
            found = pool.map(lambda path: checksum(path, "sha256") if path.is_file() else "", paths)
            return [
                name
                for (name, published), sha256 in zip(self.checksums.items(), found, strict=True)
                if sha256 != published
            ]


def read_checksums(path: Path) -> dict[str, str]:
    """Read a list such as ``sha256sum`` prints; return the sha256 of each file by its name."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return {name: sha256 for sha256, name in (line.split("  ", 1) for line in lines)}


def checksum(path: Path, algorithm: str) -> str:
    """Return the md5 or sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
