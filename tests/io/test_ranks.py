"""What batch systems and containers leave in the environment changes nothing that they did not mean to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from emopipe.io import ranks
from helpers.paths import ROOT
from helpers.processes import ALONE

MEETING = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
LEFTOVERS = [
    {"RANK": "1"},
    {"RANK": "1", "WORLD_SIZE": "1"},
    {"RANK": "3", "LOCAL_RANK": "3"},
    {"WORLD_SIZE": "4"},
    {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"},
    {"WORLD_SIZE": "many", "RANK": "first"},
    {"PMI_SIZE": "4", "OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2"},
]


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in ranks.VARIABLES + ranks.MEETING:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("left", LEFTOVERS)
def test_what_is_left_over_is_forgotten(monkeypatch, left):
    for name, value in left.items():
        monkeypatch.setenv(name, value)
    assert (ranks.world_size(), ranks.rank(), ranks.is_first()) == (1, 0, True)
    ranks.forget_leftovers()
    assert not set(ranks.VARIABLES) & set(os.environ)


def test_processes_that_can_meet_work_together(monkeypatch):
    for name, value in MEETING.items():
        monkeypatch.setenv(name, value)
    ranks.forget_leftovers()
    assert (ranks.world_size(), ranks.rank(), ranks.is_first()) == (2, 1, False)
    assert os.environ["LOCAL_RANK"] == "1"


@pytest.mark.parametrize("left", LEFTOVERS[:3])
def test_an_error_is_printed_whatever_is_left_over(tmp_path, left):
    done = subprocess.run(
        [sys.executable, "-m", "stages.fetch"], cwd=tmp_path, env=ALONE | left, capture_output=True, text=True
    )
    assert done.returncode == 1 and done.stderr.startswith("error: params.yaml: no such file")


FAILING = """
import sys, time
from emopipe.io import errors, ranks
errors.PATIENCE = float(sys.argv[1])

def stage():
    time.sleep(0 if ranks.rank() else float(sys.argv[2]))
    raise errors.UserError(f"of process {ranks.rank()}")

errors.run_stage(stage)
"""


@pytest.mark.parametrize(("patience", "late", "told"), [(60, 2, 0), (0.1, 60, 1)])
def test_what_several_processes_meet_is_told_by_the_first_one_and_else_by_the_one_that_meets_it(
    tmp_path, patience, late, told
):
    (tmp_path / "failing.py").write_text(FAILING)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, *launch, str(tmp_path / "failing.py"), str(patience), str(late)],
        cwd=tmp_path, env=ALONE, capture_output=True, text=True, timeout=50,
    )  # fmt: skip
    assert done.returncode == 1
    assert re.findall("error: of process .", done.stderr) == [f"error: of process {told}"]


# ---- folders that are links


def stage(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stages.code"]
    return subprocess.run(command, cwd=folder, env=ALONE | environment, capture_output=True, text=True)


def test_a_folder_of_outputs_that_leads_out_of_the_repository_is_told_before_any_work(tmp_path):
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    here.mkdir(), elsewhere.mkdir()
    (here / "stages").symlink_to(ROOT / "stages")
    (here / "data").symlink_to(elsewhere)
    done = stage(here, DVC_STAGE="code")
    assert done.returncode == 1 and f"data: a link to {elsewhere}, outside of the repository" in done.stderr
    assert "dvc cache dir /big/cache" in done.stderr and "dvc config cache.type symlink" in done.stderr
    assert not list(elsewhere.iterdir())


def test_a_link_further_down_or_to_the_repository_itself_is_no_matter(tmp_path):
    here = tmp_path / "here"
    (here / "data").mkdir(parents=True)
    (here / "stages").symlink_to(ROOT / "stages")
    (tmp_path / "raw").mkdir()
    (here / "data" / "raw").symlink_to(tmp_path / "raw")
    (tmp_path / "link").symlink_to(here)
    done = stage(tmp_path / "link", DVC_STAGE="code")
    assert done.returncode == 0, done.stderr
