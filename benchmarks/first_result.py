"""What the first result costs: every stage of the pipeline, one after the other, with nothing in any cache.

    python -m benchmarks.first_result                         # in a clone of the last commit, in a temporary folder
    python -m benchmarks.first_result --stages code fetch     # the first two alone
    python -m benchmarks.first_result --here --stages plot    # in this folder, where the stages before it have run

Per stage, run as ``python -m stages.NAME``:

- import: processor time of a fresh process that imports the stage and does nothing else
- CPU, wall: processor time of the stage and of the processes it starts, and the time that passes
- peak: memory of the largest of these processes

What DVC itself does around the stages (hashing outputs, storing them) is not among it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parent.parent
HEADER = "| stage | import, CPU s | CPU s | wall s | peak MiB |\n|---|---:|---:|---:|---:|"


class Cost(NamedTuple):
    """What a process and those it started took."""

    cpu: float  # seconds, user and system
    wall: float  # seconds
    peak: float  # MiB, of the largest one


def measure(words: Sequence[str], folder: Path, environment: dict[str, str]) -> Cost:
    """Run Python in a folder and return what it took; what it prints goes to stderr.

    Args:
        words: Python's arguments
        folder: working directory, whose modules come before all others
        environment: its variables

    Raises:
        SystemExit: if the process fails
    """
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words], cwd=folder, env=environment, stdout=sys.stderr)  # noqa: S603
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"python {' '.join(words)}: exit status {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - began, usage.ru_maxrss / 1024)


def rows(pipeline: dict[str, Any], stages: Iterable[str], folder: Path, cache: Path) -> Iterator[str]:
    """Run stages and give the lines of the table, each as soon as it is known.

    Args:
        pipeline: the stages of dvc.yaml
        stages: which of them, in order
        folder: holds the pipeline
        cache: an empty folder for what would be downloaded
    """
    environment = os.environ | {"EMOPIPE_CACHE": str(cache)}
    imports, costs = [], []
    yield HEADER
    for stage in stages:
        clear(pipeline[stage], folder)
        costs.append(measure(["-m", f"stages.{stage}"], folder, environment))
        imports.append(measure(["-c", f"import stages.{stage}"], folder, environment).cpu)  # bytecode is there now
        yield _row(stage, imports[-1], costs[-1])
    cpu, wall, peaks = zip(*costs, strict=True)
    yield _row("together", sum(imports), Cost(sum(cpu), sum(wall), max(peaks)))


def clear(stage: dict[str, Any], folder: Path) -> None:
    """Remove the outputs of a stage, as DVC does before it runs one."""
    for output in (output for kind in ("outs", "metrics", "plots") for output in stage.get(kind, [])):
        path = folder / (next(iter(output)) if isinstance(output, dict) else output)
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _row(name: str, importing: float, cost: Cost) -> str:
    return f"| {name} | {importing:.1f} | {cost.cpu:.1f} | {cost.wall:.1f} | {cost.peak:.0f} |"


def main() -> None:
    """Print the table."""
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stages", nargs="+", choices=list(pipeline), default=list(pipeline), metavar="NAME")
    parser.add_argument("--here", action="store_true", help="run in this folder, not in a clone")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path() if arguments.here else Path(scratch, "emopipe")
        if not arguments.here:
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)  # noqa: S603, S607
        chosen = [stage for stage in pipeline if stage in arguments.stages]
        for line in rows(pipeline, chosen, folder, Path(scratch, "cache")):
            print(line, flush=True)


if __name__ == "__main__":
    main()
