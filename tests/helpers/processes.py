"""Processes beside a test: started, limited, waited for and killed."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest

from helpers.paths import ROOT

ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
ALONE = ENVIRONMENT | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}


def start(folder: Path, *command: str, environment: dict[str, str] = ENVIRONMENT, **others: object) -> subprocess.Popen:
    """Start a command in a session of its own; its output is lost unless ``others``, which go to Popen, catch it."""
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, start_new_session=True, **(streams | others)
    )


def start_stage(
    folder: Path, stage: str, before: Sequence[str] = (), limit: Callable[[], None] | None = None
) -> subprocess.Popen:
    """Start a stage of this checkout, wherever the folder lies; what it prints on stderr is kept."""
    return start(
        folder, *before, sys.executable, "-m", f"stages.{stage}", environment=ALONE, preexec_fn=limit,
        stderr=subprocess.PIPE,
    )  # fmt: skip


def end(process: subprocess.Popen, expected: int = 0) -> str:
    """Wait for a stage, and return what it printed."""
    _, printed = process.communicate(timeout=300)
    assert process.returncode == expected, printed
    assert "Traceback" not in printed, printed
    return printed


def leave_nothing_running(session: int, started: set[int]) -> None:
    """Wait for the processes that a killed one had started to end; they look for it twice a second."""
    deadline = time.monotonic() + 20
    while left := [p.pid for p in psutil.process_iter() if p.pid in started or _session(p.pid) == session]:
        assert time.monotonic() < deadline, f"{left} go on without the process that started them"
        time.sleep(0.1)


def _session(pid: int) -> int | None:
    try:
        return None if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE else os.getsid(pid)
    except (ProcessLookupError, psutil.NoSuchProcess):
        return None


def kill(process: subprocess.Popen, number: int) -> None:
    """Kill a stage, and nothing but it: what it started must end by itself."""
    try:
        started = {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
    except psutil.NoSuchProcess:
        started = set()
    process.send_signal(number)
    process.communicate(timeout=40)  # prompt, or the test fails here
    leave_nothing_running(process.pid, started)


def kill_all(process: subprocess.Popen) -> None:
    """Kill a process and all that it started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def writes_at_most(size: int) -> Callable[[], None]:
    """Return what limits the files of a process to a number of bytes: a write in the middle fails."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def mounted(folder: Path, options: str) -> list[str]:
    """Return how to run a command that alone sees an empty file system at ``folder``; skips where that cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs -o {options} none "$0" && exec "$@"', str(folder)]
    if shutil.which("unshare") is None or subprocess.run([*mount, "true"], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here (user namespaces are off)")
    return mount


def as_anybody() -> list[str]:
    """Return how to run a command to which permissions apply, as they do not to root."""
    if os.geteuid():
        return []
    bound = "-dac_override,-dac_read_search"
    without = ["setpriv", f"--bounding-set={bound}", f"--inh-caps={bound}"]
    if shutil.which("setpriv") is None or subprocess.run([*without, "true"], capture_output=True).returncode:
        pytest.skip("root, and setpriv cannot take its rights away")
    return without
