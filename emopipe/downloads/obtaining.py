"""A corpus in the download cache: fetched once for all clones, whole and verified, or not there at all.

Below the cache folder, a corpus is put together in ``downloads/KEY``, and moves to ``corpora/KEY`` by one renaming.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from emopipe.downloads.release import Archive, File, Files, Release
from emopipe.downloads.transfer import CONNECTIONS, Line, TransferError, fetch
from emopipe.downloads.unpacking import ArchiveError, unpack
from emopipe.io.cache import VARIABLE, cache_folder
from emopipe.io.errors import UserError


class UnavailableError(Exception):
    """No source of a corpus gave it whole; the message says what each of them did, and where files may be put."""


def obtain(key: str, release: Release) -> Path:
    """Return the folder of a corpus in the download cache, fetched when it is not there yet.

    Raises:
        UnavailableError: if it could not be fetched
        UserError: if the cache cannot be written, or what lies in it is not the published corpus
    """
    home, workshop = cache_folder() / "corpora" / key, cache_folder() / "downloads" / key
    try:
        if not home.is_dir():
            with _alone(workshop):
                if not home.is_dir():  # another process may have fetched it meanwhile
                    _fetch(key, release, workshop, home)
                    return home
    except OSError as error:
        raise UserError(
            f"{error.filename or workshop}: cannot be written ({error.strerror or error}); what has come is kept in "
            f"{workshop}. Make room and run again, or name a folder elsewhere by the environment variable {VARIABLE}"
        ) from None
    if wrong := release.mismatched(home):
        raise UserError(
            f"{home}: {len(wrong)} of {len(release.names)} files are missing or changed, or some of these are "
            f"({wrong[0]} ...); remove the folder to have it fetched again"
        )
    return home


@contextmanager
def _alone(workshop: Path) -> Iterator[None]:
    """Hold the lock of a corpus, so that two processes do not write into one file."""
    workshop.mkdir(parents=True, exist_ok=True)
    lock = FileLock(workshop.with_name(f"{workshop.name}.lock"))
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        print(f"{workshop.name}: another process is fetching it; waiting", flush=True)
        held = lock.acquire()
    with held:
        yield


def _fetch(key: str, release: Release, workshop: Path, home: Path) -> None:
    reasons = []
    for source in sorted(release.sources, key=lambda source: not _at_hand(source, workshop)):
        try:
            ready = (_from_archive if isinstance(source, Archive) else _from_files)(key, source, release, workshop)
        except (TransferError, ArchiveError) as reason:
            reasons.append(str(reason))
            continue
        home.parent.mkdir(parents=True, exist_ok=True)
        ready.rename(home)
        shutil.rmtree(workshop, ignore_errors=True)
        return
    wanted = " or ".join(_named(source) for source in release.sources)
    raise UnavailableError("\n".join(["could not be fetched", *reasons, f"put {wanted} into {workshop} yourself"]))


def _from_archive(key: str, source: Archive, release: Release, workshop: Path) -> Path:
    given = _at_hand(source, workshop)
    _check_room(workshop, (source.file.size or 0) + release.size)
    with _line(key, source.file.size or 0, workshop) as line:
        archive = fetch(source.file, workshop, line)
    unpacked = workshop / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)  # of a run that was killed
    try:
        unpack(archive, release.names, release.size, unpacked)
        if wrong := release.mismatched(unpacked):
            raise ArchiveError(
                f"{len(wrong)} of {len(release.names)} files are not the published ones ({wrong[0]} ...)"
            )
    except ArchiveError as error:
        if given:
            raise UserError(f"{archive}: {error}; remove it to have it fetched") from None
        archive.unlink()
        raise ArchiveError(f"  {' '.join(source.file.urls)}: {error}") from None
    return unpacked


def _from_files(key: str, source: Files, release: Release, workshop: Path) -> Path:
    _check_room(workshop, release.size)
    wrong: list[str] = []
    for _ in range(2):  # a file without a checksum of its own shows its fault among the others; once more, then
        for name in wrong:
            (workshop / name).unlink()
        with _line(key, release.size, workshop) as line, ThreadPoolExecutor(CONNECTIONS) as pool:
            running = [pool.submit(fetch, file, workshop, line) for file in source.files]
            try:
                for future in running:
                    future.result()
            finally:
                pool.shutdown(cancel_futures=True)
        wrong = release.mismatched(workshop)
        if not wrong:
            return workshop
    raise TransferError(
        f"  {source.files[0].urls[0]} ...: {len(wrong)} files are not the published ones: {wrong[0]} ..."
    )


def _files(source: Archive | Files) -> tuple[File, ...]:
    return (source.file,) if isinstance(source, Archive) else source.files


def _at_hand(source: Archive | Files, workshop: Path) -> bool:
    return all((workshop / file.name).is_file() for file in _files(source))


def _named(source: Archive | Files) -> str:
    names = [file.name for file in _files(source)]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _check_room(workshop: Path, wanted: int) -> None:
    """Stop early where the disk is too small, before hours have gone into the download.

    Raises:
        UserError: saying how much is missing
    """
    here = sum(path.stat().st_size for path in workshop.rglob("*") if path.is_file())
    free = shutil.disk_usage(workshop).free
    if wanted - here > free:
        raise UserError(
            f"{workshop}: {(wanted - here) / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free; make room, or "
            f"name a folder elsewhere by the environment variable {VARIABLE}"
        )


def _line(key: str, size: int, workshop: Path) -> Line:
    print(f"{key}: fetching {f'{size / 1e6:.1f} MB ' if size else ''}into {workshop}", flush=True)
    return Line(size, key)
