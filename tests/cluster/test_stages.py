"""What a cluster resamples, encodes and trains is what one machine does, byte for byte."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from helpers.clones import Clone
from helpers.ray_nodes import ray_nodes

pytestmark = pytest.mark.slow
LOCAL = {"runtime__engine": "local", "runtime__device": "cpu"}


def content(folder: Path) -> dict[str, str]:
    """Return the digest of every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def made(clone: Clone, stage: str, *outputs: str) -> list[dict[str, str]]:
    """Run a stage anew, and return what it made."""
    for output in outputs:
        shutil.rmtree(clone.folder / output, ignore_errors=True)
    clone.run("python", "-m", f"stages.{stage}")
    assert not (clone.folder / ".checkpoints").exists()
    return [content(clone.folder / output) for output in outputs]


@pytest.mark.parametrize("address", ["address", "outside"])
def test_a_cluster_makes_what_one_machine_makes(clone, tmp_path, address):
    pytest.importorskip("ray")
    pytest.importorskip("grpc")
    stages = {
        "resample": ["data/audio"], "encode": ["data/encoded"],
        "finetune_audio": ["models/audio", "metrics/audio"], "finetune_text": ["models/text", "metrics/text"],
    }  # fmt: skip
    clone.set(**LOCAL, runtime__processes=2)
    expected = {stage: made(clone, stage, *outputs) for stage, outputs in stages.items()}
    assert all(len(files) > 1 for outputs in expected.values() for files in outputs)
    with ray_nodes(tmp_path, 2) as nodes:
        clone.set(runtime__engine="ray", runtime__address=getattr(nodes, address))
        left = [tmp_path / f"node-{number}/training/killed" for number in (1, 2)]
        for folder in left:  # of a training that was killed there
            folder.mkdir(parents=True)
            (folder / "in_use").touch()
        for stage, outputs in stages.items():
            assert made(clone, stage, *outputs) == expected[stage], stage
        assert not any(folder.exists() for folder in left)


def test_what_a_stage_says_on_a_node_is_said_here(clone, tmp_path):
    pytest.importorskip("ray")
    with ray_nodes(tmp_path, 1) as nodes:
        ray = {"runtime__engine": "ray", "runtime__address": nodes.address, "runtime__processes": 1}
        clone.set(**LOCAL | ray, text__encoder="/no/such/folder")
        done = clone.run("python", "-m", "stages.finetune_text", check=False)
    assert done.returncode == 1
    assert "/no/such/folder" in done.stderr.splitlines()[-1] and done.stderr.splitlines()[-1].startswith("error: ")
