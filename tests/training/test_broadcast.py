"""Files of the first process reach those that see another disk, and nobody else."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.processes import ALONE

SHARE = """
import sys
from pathlib import Path
from torch import distributed
from emopipe.training import broadcast
broadcast.PIECE = 1000
distributed.init_process_group("gloo")
broadcast.share(Path("work"))
distributed.barrier()
distributed.destroy_process_group()  # not by the end of the interpreter, while others still speak
"""
FILES = {"a/history.json": b"[1]", "a/weights": bytes(range(256)) * 20, "empty": b""}


def shared(folders: list[Path]) -> None:
    """Run a process in each folder, which together share what the first one has."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(len(folders)), "LOCAL_RANK": "0"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SHARE],
            cwd=folder, env=ALONE | common | {"RANK": str(number)}, stderr=subprocess.PIPE, text=True,
        )
        for number, folder in enumerate(folders)
    ]  # fmt: skip
    for process in processes:
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told


def content(folder: Path) -> dict[str, bytes]:
    work = folder / "work"
    return {path.relative_to(work).as_posix(): path.read_bytes() for path in work.rglob("*") if path.is_file()}


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, text in files.items():
        (folder / "work" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "work" / name).write_bytes(text)


@pytest.mark.parametrize("disks", [[0, 1], [0, 1, 1], [0, 0, 1]])
def test_every_disk_gets_what_the_first_process_has(tmp_path, disks):
    folders = [tmp_path / str(disk) for disk in disks]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    write(folders[0], FILES)
    own = {"a/rng_state_1.pth": b"of the other process"}
    write(tmp_path / "1", {"a/history.json": b"[0]", "stale": b"of another run"} | own)
    shared(folders)
    assert content(tmp_path / "0") == FILES
    assert content(tmp_path / "1") == FILES | own


def test_on_one_disk_nothing_is_written(tmp_path):
    write(tmp_path, FILES)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    shared([tmp_path, tmp_path])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before
