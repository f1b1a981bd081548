"""Which of the processes of one training this is, as torchrun and ``accelerate launch`` say it in the environment."""

from __future__ import annotations

import os

# What they set, and what the libraries beneath take for a sign of other processes.
VARIABLES = (
    "RANK", "LOCAL_RANK", "GROUP_RANK", "ROLE_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "ROLE_WORLD_SIZE",
    "PMI_RANK", "PMI_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
    "MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK",
)  # fmt: skip
MEETING = ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # without which several processes cannot meet


def world_size() -> int:
    """Return how many processes work together: one, unless the environment has all that several need to meet."""
    size = os.environ.get("WORLD_SIZE", "")
    return int(size) if size.isdecimal() and int(size) > 1 and all(name in os.environ for name in MEETING) else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return int(os.environ["RANK"]) if world_size() > 1 else 0


def is_first() -> bool:
    """Return whether this process is the one that writes and reports."""
    return rank() == 0


def forget_leftovers() -> None:
    """Where this process works alone, remove what would make libraries wait for others.

    Batch systems, and shells in which a distributed run was tried, leave such variables behind.
    """
    if world_size() == 1:
        for name in VARIABLES:
            os.environ.pop(name, None)
