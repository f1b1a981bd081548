"""What several tests need."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

# Of every process here and below: threads that wait for each other make small things slow. Read when NumPy is loaded.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
from filelock import FileLock

from helpers.downloads import cache, publish  # noqa: F401 - fixtures of several files
from helpers.small_corpus import small_corpus  # noqa: F401 - a fixture of several files
from helpers.tiny_text import tiny  # noqa: F401 - a fixture of several files

SHARED = Path(__file__).parents[2] / "shared"  # real data and weights, where a developer has them


FIRST = ["test_pipeline.py", "test_leakage.py", "test_training.py", "test_pipeline_experiments.py"]


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, and with two others while the one clone is made that both need."""
    items.sort(key=lambda item: FIRST.index(item.path.name) if item.path.name in FIRST else len(FIRST))


def pytest_collection_finish():
    """Keep the collector, which every training calls, from looking through all that was imported."""
    gc.freeze()


@pytest.fixture(scope="session")
def shared():
    """Return a function from a path below the folder of real data to where it lies; skips when it is absent."""

    def find(path: str) -> Path:
        found = SHARED / path
        if not found.exists():
            pytest.skip(f"real data not at hand: {found}")
        return found

    return find


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Return a clone of this repository with everything made small, reproduced once; for all processes, and copied."""
    from helpers.clones import Clone, reproduced  # here, for tests that need no pipeline

    own = tmp_path_factory.getbasetemp()
    common = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "reproduced"
    with FileLock(f"{common}.lock"):
        if not common.exists():
            reproduced(common)
    copy = tmp_path_factory.mktemp("pipeline") / "clone"
    shutil.copytree(common / "clone", copy, symlinks=True)
    return Clone(copy)


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Return a function from a family, and changes of its configuration, to a folder with such a network."""
    from benchmarks.networks import write  # here, for tests that need no network

    written = {}

    def folder(family, **changes):
        key = f"{family}-{'-'.join(map(str, changes.values()))}"
        if key not in written:
            changes = {"small": True} | changes
            written[key] = write(family, tmp_path_factory.mktemp("networks") / key.strip("-"), **changes)
        return written[key]

    return folder


@pytest.fixture(scope="session")
def folder(folders):
    """Return a small Whisper of random weights in the published layout; it takes one second at most."""
    return folders("whisper")
