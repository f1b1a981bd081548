"""The search for the files of a corpus below the folder that a user names, wherever in it they lie.

An archive is unpacked into a folder of its own name, a mirror holds the corpus twice, a disk writes names in capitals,
a user names the folder above the corpus or one part of it. So files are known by their names, not by their place:

* The folder is searched to the bottom, links followed, invisible folders left out.
* Capitals do not matter, neither in the names of folders nor in those of files.
* Of copies, which have the same name, one is read: a lossless one first, then the one in the folder where the
  publisher has it, then the one that lies highest.

What is left out is said in notices, and so is where the files were found, and what lies beside them.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from emopipe.io.errors import UserError
from emopipe.schemas.notices import notice

LOSSLESS = (".wav", ".flac", ".aif", ".aiff", ".au", ".caf", ".w64")
LOSSY = (".mp3", ".ogg", ".opus", ".m4a", ".mp4", ".aac", ".wma")  # the last of which need PyAV
SOUND = (*LOSSLESS, *LOSSY)
ABOVE = 2  # folders above the one named that are looked at for what was not found in it
BELOW = 2  # folders between such a one and the files
KINDS = 4  # of files, shown of a folder in which nothing was found

Found = tuple[Path, re.Match[str]]


@dataclass(frozen=True)
class Scheme:
    """How the files of a corpus are called.

    ``pattern`` is that of the last parts of a path, without the suffix; capitals do not matter to it. Its groups
    together identify a file: files of which all groups are equal are copies.
    """

    key: str  # of the corpus
    pattern: str
    form: str  # in words: like 03a01Fa.wav
    home: str = ""  # the folder that the publisher has them in
    part: str = ""  # pattern of the folders that each hold a part of the corpus
    apart: tuple[str, ...] = ()  # folders that hold something else under the same names
    suffixes: tuple[str, ...] = SOUND  # in the order of preference

    def matches(self, files: Iterable[Path]) -> Iterator[Found]:
        """Yield the files that follow the scheme."""
        path = re.compile(rf"(?:.*/)?(?:{self.pattern})", re.IGNORECASE | re.DOTALL)
        for file in files:
            if self.concerns(file) and (match := path.fullmatch(file.with_suffix("").as_posix())):
                yield file, match

    def concerns(self, file: Path) -> bool:
        """Return whether a file is of the kind that the scheme names."""
        return file.suffix.lower() in self.suffixes and file.parent.name.lower() not in self.apart

    @property
    def depth(self) -> int:
        """Return how many parts of a path the pattern speaks of."""
        return self.pattern.count("/") + 1

    def rank(self, file: Path) -> tuple[int, bool, int, Path]:
        """Return a key that is least for the copy to read."""
        away = file.parent.name.lower() != self.home.lower()
        return self.suffixes.index(file.suffix.lower()), away, len(file.parts), file


class NothingFoundError(UserError):
    """No file of the corpus lies below the folder; ``near`` is one above it that holds some, if there is."""

    def __init__(self, message: str, near: Path | None) -> None:
        super().__init__(message)
        self.near = near


def find_recordings(folder: Path, scheme: Scheme) -> list[Found]:
    """Return what :func:`find` does, with notices of the recordings of other names and of lossy ones.

    Raises:
        NothingFoundError: if there are none, saying what is there
    """
    files = list(walk(folder))
    kept = _chosen(folder, files, scheme)
    known = {file for file, _ in scheme.matches(files)}
    others = [file for file in files if scheme.concerns(file) and file not in known]
    notice(scheme.key, len(others), "files", f"left out: not named {scheme.form}", first=_first(others))
    lossy = [file for file, _ in kept if file.suffix.lower() in LOSSY]
    notice(scheme.key, len(lossy), "recordings", "there as lossy copies alone", len(kept), _first(lossy))
    return kept


def find(folder: Path, scheme: Scheme) -> list[Found]:
    """Return the files below ``folder`` that follow the scheme, one of each name, sorted by path.

    Raises:
        NothingFoundError: if there are none, saying what is there
    """
    return _chosen(folder, list(walk(folder)), scheme)


def _chosen(folder: Path, files: list[Path], scheme: Scheme) -> list[Found]:
    copies: dict[tuple[str, ...], list[Found]] = defaultdict(list)
    for file, match in scheme.matches(files):
        copies[_identity(match)].append((file, match))
    if not copies:
        raise NothingFoundError(
            f"no utterance found under {folder}: nothing is named {scheme.form}; it holds {_described(files)}",
            _above(folder, scheme),
        )
    kept = sorted((min(same, key=lambda one: scheme.rank(one[0])) for same in copies.values()), key=lambda one: one[0])
    chosen = {file for file, _ in kept}
    others = [file for same in copies.values() for file, _ in same if file not in chosen]
    what = "left out: copies, that is, of the same name as another one"
    notice(scheme.key, len(others), "files", what, first=_first(others))
    _tell_place(folder, scheme, kept)
    return kept


def walk(folder: Path, depth: int | None = None) -> Iterator[Path]:
    """Yield the files below a folder, sorted within each; those deeper than ``depth`` folders are left out."""
    seen: set[tuple[int, int]] = set()  # a link may lead back to a folder above it
    for name, folders, files in os.walk(folder, onerror=_tell_unreadable, followlinks=True):
        here = Path(name)
        status = here.stat()
        place = status.st_dev, status.st_ino
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(one for one in folders if not one.startswith(".") and one != "__MACOSX")
        if depth is not None and len(here.parts) - len(folder.parts) >= depth:
            folders.clear()
        yield from (here / file for file in sorted(files))


def by_stem(files: Iterable[Path]) -> dict[str, Path]:
    """Return sound files by their names in small letters, without the suffix; of copies the one to read."""
    best: dict[str, Path] = {}
    for file in files:
        if (suffix := file.suffix.lower()) in SOUND:
            stem = file.stem.lower()
            if stem not in best or SOUND.index(suffix) < SOUND.index(best[stem].suffix.lower()):
                best[stem] = file
    return best


def _identity(match: re.Match[str]) -> tuple[str, ...]:
    return tuple((group or "").lower() for group in match.groups())


def _first(files: list[Path]) -> str:
    return str(min(files)) if files else ""


def _described(files: list[Path]) -> str:
    kinds = Counter(file.suffix.lower() or "without a suffix" for file in files).most_common()
    shown = [f"{number:,} {kind}" for kind, number in kinds[:KINDS]]
    more = sum(number for _, number in kinds[KINDS:])
    shown += [f"{more:,} others"] if more else []
    return f"{', '.join(shown)}, the first {min(files)}" if files else "no files"


def _above(folder: Path, scheme: Scheme) -> Path | None:
    """Return the nearest folder above that holds files of the scheme; the root, whose search would not end, is none."""
    for above in folder.resolve().parents[:ABOVE]:
        if above != above.parent and any(scheme.matches(walk(above, scheme.depth + BELOW))):
            return above
    return None


def _tell_place(folder: Path, scheme: Scheme, kept: list[Found]) -> None:
    """Say where the files lie, if not in the folder or its home, and whether the folder is one part of a corpus."""
    common = Path(os.path.commonpath([file.parents[scheme.depth - 1] for file, _ in kept]))
    if folder in common.parents and common.name.lower() != scheme.home.lower():
        print(f"{scheme.key}: read from {common}")
    part, here = re.compile(scheme.part, re.IGNORECASE), folder.resolve()
    if scheme.part and part.fullmatch(here.name):
        parts = sorted(one.name for one in here.parent.iterdir() if part.fullmatch(one.name) and one.is_dir())
        if len(parts) > 1:
            print(
                f"{scheme.key}: {folder} is one of {len(parts)} parts of the corpus; all of them are in {here.parent}"
            )


def _tell_unreadable(error: OSError) -> None:
    notice(str(error.filename), 1, "folder", f"left out: {error.strerror}")
