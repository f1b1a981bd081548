"""A corpus in the download cache: fetched once for all clones, complete and verified, or not there at all.

Below the cache folder, a corpus is put together in ``downloads/KEY``, its staging folder, which then becomes
``corpora/KEY`` by a single renaming.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from emopipe.downloads.release import Archive, File, Files, Release
from emopipe.downloads.transfer import CONNECTIONS, Connection, TransferError, fetch
from emopipe.downloads.unpacking import ArchiveError, unpack
from emopipe.io.cache import VARIABLE, cache_folder
from emopipe.io.errors import UserError


class UnavailableError(Exception):
    """No source has the complete corpus; the message says why, and where files may be put by hand."""


def fetch_corpus(key: str, release: Release) -> Path:
    """Return the folder of a corpus in the download cache, fetching it first where it is not there yet.

    Raises:
        UnavailableError: if it could not be fetched
        UserError: if the cache cannot be written, or its files are not those of the published corpus
    """
    home, staging = cache_folder() / "corpora" / key, cache_folder() / "downloads" / key
    try:
        if not home.is_dir():
            with _exclusive(staging):
                if not home.is_dir():  # another process may have fetched it meanwhile
                    _fetch(key, release, staging, home)
                    return home
    except OSError as error:
        raise UserError(
            f"{error.filename or staging}: cannot be written ({error.strerror or error}); what was received is kept "
            f"in {staging}. Make room and run again, or name a folder elsewhere by the environment variable {VARIABLE}"
        ) from None
    if wrong := release.mismatched(home):
        raise UserError(
            f"{home}: {len(wrong)} of {len(release.checksums)} files are missing or changed ({wrong[0]} ...); remove "
            "the folder to have it fetched again"
        )
    return home


@contextmanager
def _exclusive(staging: Path) -> Iterator[None]:
    """Hold the lock of a corpus, so that two processes do not write the same file."""
    staging.mkdir(parents=True, exist_ok=True)
    lock = FileLock(staging.with_name(f"{staging.name}.lock"))
    try:
        held = lock.acquire(blocking=False)
    except Timeout:
        print(f"{staging.name}: another process is fetching it; waiting", flush=True)
        held = lock.acquire()
    with held:
        yield


def _fetch(key: str, release: Release, staging: Path, home: Path) -> None:
    reasons = []
    for source in sorted(release.sources, key=lambda source: not _complete(source, staging)):
        try:
            ready = (_from_archive if isinstance(source, Archive) else _from_files)(key, source, release, staging)
        except (TransferError, ArchiveError) as reason:
            reasons.append(str(reason))
            continue
        home.parent.mkdir(parents=True, exist_ok=True)
        ready.rename(home)
        shutil.rmtree(staging, ignore_errors=True)
        return
    wanted = " or ".join(_named(source) for source in release.sources)
    raise UnavailableError("\n".join(["could not be fetched", *reasons, f"put {wanted} into {staging} yourself"]))


def _from_archive(key: str, source: Archive, release: Release, staging: Path) -> Path:
    given = _complete(source, staging)
    _check_room(staging, (source.file.size or 0) + release.size)
    with _connect(key, source.file.size or 0, staging) as connection:
        archive = fetch(source.file, staging, connection)
    unpacked = staging / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)  # of a run that was killed
    try:
        unpack(archive, list(release.checksums), release.size, unpacked)
        if wrong := release.mismatched(unpacked):
            raise ArchiveError(
                f"{len(wrong)} of {len(release.checksums)} files are not the published ones ({wrong[0]} ...)"
            )
    except ArchiveError as error:
        if given:
            raise UserError(f"{archive}: {error}; remove it to have it fetched") from None
        archive.unlink()
        raise ArchiveError(f"  {' '.join(source.file.urls)}: {error}") from None
    return unpacked


def _from_files(key: str, source: Files, release: Release, staging: Path) -> Path:
    _check_room(staging, release.size)
    wrong: list[str] = []
    for _ in range(2):  # a wrong file may have been put there by hand: those that are wrong are fetched once more
        for name in wrong:
            (staging / name).unlink()
        with _connect(key, release.size, staging) as connection, ThreadPoolExecutor(CONNECTIONS) as pool:
            running = [pool.submit(fetch, file, staging, connection) for file in source.files]
            try:
                for future in running:
                    future.result()
            finally:
                pool.shutdown(cancel_futures=True)
        wrong = release.mismatched(staging)
        if not wrong:
            return staging
    raise TransferError(
        f"  {source.files[0].urls[0]} ...: {len(wrong)} files are not the published ones: {wrong[0]} ..."
    )


def _files(source: Archive | Files) -> tuple[File, ...]:
    return (source.file,) if isinstance(source, Archive) else source.files


def _complete(source: Archive | Files, staging: Path) -> bool:
    return all((staging / file.name).is_file() for file in _files(source))


def _named(source: Archive | Files) -> str:
    names = [file.name for file in _files(source)]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _check_room(staging: Path, wanted: int) -> None:
    """Stop early where the disk is too small, before hours have gone into the download.

    Raises:
        UserError: saying how much is missing
    """
    here = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
    free = shutil.disk_usage(staging).free
    if wanted - here > free:
        raise UserError(
            f"{staging}: {(wanted - here) / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free; make room, or "
            f"name a folder elsewhere by the environment variable {VARIABLE}"
        )


def _connect(key: str, size: int, staging: Path) -> Connection:
    print(f"{key}: fetching {f'{size / 1e6:.1f} MB ' if size else ''}into {staging}", flush=True)
    return Connection(size, key)
