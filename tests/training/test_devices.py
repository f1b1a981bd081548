"""Jobs side by side: the same results as one after the other, whatever happens to a process."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from emopipe.training.devices import side_by_side
from helpers.processes import ALONE


def kept(folder: Path, number: int, fails: tuple[int, ...] = (), here: int = 0) -> str:
    """Return the number of a job, and the process that did it first; keep both on disk."""
    done = folder / str(number)
    if not done.exists():
        if number in fails:
            raise RuntimeError(f"job {number}")
        if here and os.getpid() != here:
            os._exit(1)  # as if it was killed
        done.write_text(f"{number} by {os.getpid()} in {torch.get_num_threads()} thread(s)")
    return done.read_text()


@pytest.mark.parametrize("processes", [1, 2, 3, 9])
def test_results_stand_in_order_and_are_made_once(tmp_path, processes):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    results = side_by_side([partial(kept, tmp_path, number) for number in range(5)], processes)
    assert [int(result.split()[0]) for result in results] == list(range(5))
    assert f"0 by {os.getpid()}" in results[0]
    assert torch.get_num_threads() == 2
    torch.set_num_threads(threads)
    assert all(("1 thread" in result) == (processes > 1) for result in results)


def test_a_job_that_fails_elsewhere_fails_here(tmp_path):
    jobs = [partial(kept, tmp_path, number, fails=(3,)) for number in range(5)]
    with pytest.raises(RuntimeError, match="job 3"):
        side_by_side(jobs, 2)


def test_what_a_killed_process_left_is_done_here(tmp_path):
    jobs = [partial(kept, tmp_path, number, here=os.getpid()) for number in range(5)]
    assert all(f"by {os.getpid()}" in result for result in side_by_side(jobs, 3))


TOGETHER = """
import sys
from emopipe.io import ranks
from emopipe.parameters import Runtime
from emopipe.training.devices import barrier, launch, set_up
runtime = Runtime(engine="local", address="auto", device="cpu", processes=2, threads=1, workers=1, tensorboard=None)
if not launch("together", runtime):
    set_up(runtime, seed=0)
    barrier()
    print(f"{ranks.rank()} of {ranks.world_size()}\\n", end="", flush=True)
"""


def test_two_processes_meet_where_the_name_of_the_machine_leads_nowhere_and_a_proxy_is_set(tmp_path):
    (tmp_path / "together.py").write_text(TOGETHER)
    named = ["unshare", "--uts", "bash", "-c", 'hostname no-such-host-xyz && exec "$@"', "-"]
    if subprocess.run([*named, "true"], capture_output=True).returncode:
        pytest.skip("the name of the machine cannot be changed here")
    environment = ALONE | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ALONE['PYTHONPATH']}"}
    environment |= {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}  # nobody listens there
    done = subprocess.run(
        [*named, sys.executable, "-m", "together"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert sorted(done.stdout.split("\n")) == ["", "0 of 2", "1 of 2"], done.stderr
