"""Training and encoding in several processes that act as one: torchrun's, on one machine or on many."""

from __future__ import annotations

import os
import sys

import torch
from torch import Tensor, distributed

from emopipe.parameters import Runtime


def together(module: str, runtime: Runtime) -> bool:
    """Run a stage in ``runtime.processes`` processes, if that is asked for and has not been done; return True if so.

    Processes that an outer ``torchrun`` or ``accelerate launch`` started are taken as they are.

    Args:
        module: of the stage, as after ``python -m``
        runtime: how many processes
    """
    if runtime.processes == 1 or "WORLD_SIZE" in os.environ:
        return False
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as torchrun

    os.environ["OMP_NUM_THREADS"] = str(runtime.threads)
    try:
        # In this process: nobody is left to stop when it is stopped but those that it started, and they see to it.
        # --standalone finds a free port: two queued experiments do not meet
        torchrun(["--standalone", f"--nproc-per-node={runtime.processes}", "-m", module])
    except ChildFailedError:
        sys.exit(1)  # it has said why
    except SignalException as stopped:
        sys.exit(128 + stopped.sigval)
    return True


def count() -> int:
    """Return how many processes work together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Return the number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Return whether this process is the one that writes and reports."""
    return rank() == 0


def join(device: torch.device) -> torch.device:
    """Meet the other processes, if there are any; return the device of this one."""
    if count() == 1:
        return device
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return device


def barrier() -> None:
    """Wait for the other processes."""
    if count() > 1:
        distributed.barrier()


def gathered(tensor: Tensor) -> Tensor:
    """Return the rows of all processes, [rows of all, ...]; gradients flow to those of this process.

    Each process computes the same loss of all rows, and the gradient of its own rows. DistributedDataParallel takes
    the mean of these gradients where their sum is that of the loss: they are multiplied to make up for it.
    """
    if count() == 1:
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(count())]
    distributed.all_gather(parts, tensor.detach().contiguous())
    if tensor.requires_grad:
        tensor = tensor.clone()
        tensor.register_hook(lambda gradient: gradient * count())
    parts[rank()] = tensor
    return torch.cat(parts)
