"""Where training and encoding run: device, threads and seeds; several processes that act as one.

The processes are torchrun's, on one machine or on many.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, distributed

from emopipe.io.errors import UserError
from emopipe.io.orphans import begin_as_worker
from emopipe.io.ranks import rank, world_size
from emopipe.parameters import Runtime

Result = TypeVar("Result")


def launch(module: str, runtime: Runtime) -> bool:
    """Run a stage in ``runtime.processes`` processes, if there is more than one, or on a cluster; was it run?

    Processes that an outer ``torchrun`` or ``accelerate launch`` started are taken as they are.

    Args:
        module: of the stage, as after ``python -m``
        runtime: how many processes
    """
    if runtime.engine == "ray":
        from emopipe.cluster.training import train_on_cluster

        train_on_cluster(module, runtime)
        return True
    if runtime.processes == 1 or world_size() > 1:
        return False
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    os.environ["OMP_NUM_THREADS"] = str(runtime.threads)
    try:
        # In this process: nobody is left to stop when it is stopped but those that it started, and they see to it.
        # --standalone finds a free port: two queued experiments do not meet. On one machine the loopback is enough;
        # the machine's own name, which torchrun would look up, may have no address in a container or behind a VPN.
        torchrun(["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={runtime.processes}", "-m", module])
    except ChildFailedError:
        sys.exit(1)  # the process that failed has printed why
    except SignalException as stopped:
        sys.exit(128 + stopped.sigval)
    return True


def set_up(runtime: Runtime, seed: int) -> torch.device:
    """Fix threads, seeds and algorithms, so that the same inputs give the same bytes; return the device.

    Where several processes work together, they meet here.

    Args:
        runtime: device and number of threads; the order of additions, and with it the last bits of
            every sum, depends on that number
        seed: of Python's, NumPy's and PyTorch's generators

    Raises:
        UserError: if ``cuda`` is asked for and there is none
    """
    if runtime.device == "cuda" and not torch.cuda.is_available():
        raise UserError("runtime.device: cuda, but PyTorch sees no GPU; choose auto or cpu")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic algorithms on a GPU need it
    torch.set_num_threads(runtime.threads)
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms, which loads the compiler for it
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    gpus = 0 if runtime.device == "cpu" else torch.cuda.device_count()
    if gpus > 1 and world_size() == 1:
        print(f"{gpus} GPUs, of which one is used; runtime.processes={gpus} trains and encodes on all of them")
    return init_process_group(torch.device("cuda" if runtime.device != "cpu" and torch.cuda.is_available() else "cpu"))


@contextmanager
def single_thread() -> Iterator[None]:
    """Let PyTorch use one thread within the block: threads that share small matrices wait longer than they compute."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(jobs: Sequence[Callable[[], Result]], processes: int) -> list[Result]:
    """Run jobs, several at a time, each in one thread; return their results in order.

    A job keeps what it has done on disk, so that it is over at once where another process has done it: this process
    does the first job, and then, as the others do, whichever is next; at the end it collects those of the others. So
    the results are the same however many processes there are, and a job that fails elsewhere fails here again.

    On an accelerator, and where this process is one of several that share a batch, jobs are run one after the other.

    Args:
        jobs: independent of each other
        processes: how many run at a time, this one included
    """
    others = min(processes, len(jobs)) - 1
    if others < 1 or torch.cuda.is_available() or world_size() > 1:
        return [job() for job in jobs]
    context = get_context("fork")  # what is imported and loaded is shared
    next_job = context.Value("i", 1)
    sys.stdout.flush()
    sys.stderr.flush()
    with single_thread():
        workers = [context.Process(target=_work, args=(jobs, next_job)) for _ in range(others)]
        for worker in workers:
            worker.start()
        results, number = {}, 0
        while number < len(jobs):
            results[number] = jobs[number]()
            number = _take(next_job)
        for worker in workers:
            worker.join()
        return [results[number] if number in results else job() for number, job in enumerate(jobs)]


def _work(jobs: Sequence[Callable[[], object]], next_job: Synchronized[int]) -> None:
    begin_as_worker()
    with suppress(Exception):  # the first process will meet the same error, and tell it
        while (number := _take(next_job)) < len(jobs):
            jobs[number]()


def _take(next_job: Synchronized[int]) -> int:
    with next_job.get_lock():
        next_job.value += 1
        return next_job.value - 1


def init_process_group(device: torch.device) -> torch.device:
    """Meet the other processes, if there are any; return the device of this one."""
    if world_size() == 1:
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def barrier() -> None:
    """Wait for the other processes, if there are any."""
    if world_size() > 1:
        distributed.barrier()


def all_gather(tensor: Tensor) -> Tensor:
    """Return the rows of all processes, [rows of all, ...]; gradients flow to those of this process.

    Each process computes the same loss of all rows, and the gradient of its own rows. DistributedDataParallel takes
    the mean of these gradients where their sum is that of the loss: they are multiplied to make up for it.
    """
    if world_size() == 1:
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(world_size())]
    distributed.all_gather(parts, tensor.detach().contiguous())
    if tensor.requires_grad:
        tensor = tensor.clone()
        tensor.register_hook(lambda gradient: gradient * world_size())
    parts[rank()] = tensor
    return torch.cat(parts)
