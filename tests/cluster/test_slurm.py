"""The script for Slurm: what a shell checker says of it, and a run with stand-ins for Slurm's own commands."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from helpers.paths import ROOT
from helpers.processes import ENVIRONMENT

SCRIPT = ROOT / "docs/ray.slurm"
SRUN = """#!/bin/bash
while [[ $1 == --* ]]; do [[ $1 == --nodelist=* ]] && export EMOPIPE_CACHE="$PLACE/${1#--nodelist=}"; shift; done
echo "$EMOPIPE_CACHE: $*" >> "$PLACE/calls"
[[ $1 == hostname ]] && { echo 127.0.0.1; exit; }
exec "$@"
"""
SCONTROL = """#!/bin/bash
[[ "$*" == "show hostnames a[1-2]" ]] && printf "a1\\na2\\n"
"""


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_script_is_sound_shell():
    done = subprocess.run(["shellcheck", SCRIPT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_script_starts_a_node_on_each_host_and_runs_the_command(tmp_path: Path):
    pytest.importorskip("ray")
    stand_ins = {"srun": SRUN, "scontrol": SCONTROL}
    for name, text in stand_ins.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = ENVIRONMENT | {
        "PATH": f"{tmp_path}{os.pathsep}{ENVIRONMENT['PATH']}", "PLACE": str(tmp_path), "RAY_PORT": str(port),
        "SLURM_JOB_NODELIST": "a[1-2]", "SLURM_CPUS_PER_TASK": "3",
    }  # fmt: skip
    command = ["bash", SCRIPT, "python", "-c", "import ray; ray.init(); print(ray.cluster_resources()['CPU'])"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "6.0"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split(": ")[0] for call in calls] == [str(tmp_path / host) for host in ("a1", "a1", "a2")]
    left = subprocess.run(["pgrep", "-f", f"gcs_server.*{port}"], capture_output=True, text=True)
    assert not left.stdout  # the cluster ends with the command
