"""Jobs side by side: the same results as one after the other, whatever happens to a process."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
import torch

from emopipe.training.devices import side_by_side


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
