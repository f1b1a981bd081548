"""Where training and encoding run, and with how many threads."""

from __future__ import annotations

import os

import torch
import transformers

from emopipe.io.errors import UserError
from emopipe.parameters import Runtime
from emopipe.training import processes


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
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # asked for by deterministic algorithms on a GPU
    torch.set_num_threads(runtime.threads)
    torch.use_deterministic_algorithms(True)
    transformers.set_seed(seed)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return processes.join(torch.device("cpu" if runtime.device == "cpu" or not torch.cuda.is_available() else "cuda"))
