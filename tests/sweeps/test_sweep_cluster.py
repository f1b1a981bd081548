"""`emopipe sweep --on` a Ray cluster of three nodes on this machine, which share nothing but an S3 remote."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from helpers.clones import Clone
from helpers.processes import kill, start
from helpers.ray_nodes import ray_nodes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def remote():
    """Return the address of a server that speaks S3, with a bucket named ``store``."""
    moto = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    pytest.importorskip("dvc_s3")
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    s3fs.S3FileSystem(key="x", secret="x", endpoint_url=address).mkdir("store")  # noqa: S106 - any will do
    yield address
    server.stop()


@pytest.fixture(scope="module")
def committed(clone, remote):
    """Return a reproduced clone of which everything is committed, with a remote whose keys Git does not track."""
    clone.run("dvc", "remote", "add", "-d", "storage", "s3://store/dvc")
    clone.run("dvc", "remote", "modify", "storage", "endpointurl", remote)
    for key in ("access_key_id", "secret_access_key"):
        clone.run("dvc", "remote", "modify", "--local", "storage", key, "x")
    clone.run("git", "add", "-A")
    clone.run("git", "-c", "user.name=t", "-c", "user.email=t@t", "commit", "--quiet", "-m", "small")
    return clone


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    pytest.importorskip("ray")
    with ray_nodes(tmp_path_factory.mktemp("cluster"), 2) as found:
        yield found


def rows(clone: Clone, name: str) -> dict[str, dict[str, str]]:
    with (clone.folder / f".dvc/tmp/sweeps/{name}/runs.csv").open(newline="") as file:
        return {row["run"]: row for row in csv.DictReader(file)}


def tree(clone: Clone, name: str) -> str:
    return clone.run("git", "rev-parse", f"{clone.experiment(name)}^{{tree}}").stdout


def sweep(address: str, name: str, values: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "emopipe", "sweep", name, "-S", f"train.seed={values}", "--on", address)


def test_a_cluster_makes_the_bytes_of_this_machine(committed, nodes):
    pytest.importorskip("grpc")
    assert "far: 2 runs, of which 0 are done" in committed.run(*sweep(nodes.outside, "far", "1,2")).stdout
    assert {row["state"] for row in rows(committed, "far").values()} == {"done"}
    assert all((nodes.folder / name / "dvc/files").is_dir() for name in ("node-1", "node-2"))  # both took part
    near = committed.run("dvc", "exp", "run", "-n", "near", "-S", "train.seed=1").stdout
    assert "Running stage 'finetune_audio'" in near  # not restored from what the cluster made
    assert tree(committed, "far-seed-1") == tree(committed, "near") != tree(committed, "far-seed-2")
    committed.run("git", "reset", "--quiet", "--hard")
    shown = committed.run("python", "-m", "emopipe", "compare", "far-seed-1", "far-seed-2").stdout
    assert "uar" in shown  # one of them lies in the remote alone


def training(folder: Path, name: str, process: subprocess.Popen) -> list[Path]:
    """Wait until a run of a sweep trains on a node; return the nodes where one does."""
    deadline = time.monotonic() + 120
    while not (found := list(folder.glob(f"node-*/sweeps/{name}/*/*/clone/.checkpoints/finetune_audio/*"))):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return [folder / path.relative_to(folder).parts[0] for path in found]


def works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(folder)
    except psutil.Error:
        return False


def nothing_runs_in(folder: Path) -> None:
    deadline = time.monotonic() + 30
    while left := [process.pid for process in psutil.process_iter() if works_in(process, folder)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def test_a_sweep_outlives_a_node(committed, nodes):
    log = committed.folder.parent / "log"
    with log.open("w") as file:
        process = start(committed.folder, *sweep(nodes.address, "kill", "3,4"), stdout=file, stderr=file)
        lost = training(nodes.folder, "kill", process)[0]
        nodes.kill(lost)
        nodes.processes.pop(int(lost.name.removeprefix("node-"))).wait(60)  # it is none any more
        assert process.wait(220) == 0, log.read_text()
    found = rows(committed, "kill")
    assert {row["state"] for row in found.values()} == {"done"}
    assert found["kill-seed-3"]["tries"] == found["kill-seed-4"]["tries"] == "1"  # Ray gave it to the other node
    assert tree(committed, "kill-seed-3") != tree(committed, "kill-seed-4")
    assert list(lost.glob("sweeps/kill/*/*/clone"))  # it was in the middle of one
    nothing_runs_in(lost / "sweeps")


def test_a_sweep_that_is_killed_leaves_nothing_running_on_the_nodes(committed, nodes):
    process = start(committed.folder, *sweep(nodes.address, "stop", "5,6"))
    training(nodes.folder, "stop", process)
    kill(process, signal.SIGKILL)
    for node in nodes.folder.glob("node-*/sweeps/stop"):
        nothing_runs_in(node)
