"""Run a sweep: every combination of parameters, or a search for the best, here or on a Ray cluster.

    emopipe sweep cv -S split.audio.strategy=speaker_folds -S 'split.audio.fold=range(0,5)' -S train.seed=1,2,3
    emopipe sweep cv ... --on HOST:6379 --cpus 4               # Ray; auto: the cluster of this machine
    emopipe sweep lr -S 'train.learning_rate=tag(log,interval(1e-4,1e-2))' --search 30

What the runs have in common is computed once, before them. Each run is made in a clone of the last commit and ends as
an experiment (`dvc exp show`), named by the sweep and its values, which `emopipe compare` and `emopipe crossval` read.
The same command again does what is missing. .dvc/tmp/sweeps/NAME/runs.csv tells what became of each run, and beside it
lie their logs.
"""

from __future__ import annotations

import argparse
import re

from filelock import FileLock, Timeout

from emopipe.io.errors import UserError
from emopipe.sweeps.engines import Engine, Local, Ray
from emopipe.sweeps.job import Job, Watch
from emopipe.sweeps.preparation import preparations, preparing, unaffected
from emopipe.sweeps.project import SWEEPS, Project
from emopipe.sweeps.runs import Run, expand, parsed
from emopipe.sweeps.schedule import Grid, Table, carry_out
from emopipe.sweeps.search import Search

HERE = "here"
LONGEST = 40  # characters of a sweep's name


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("name", help="of the sweep, with which the names of its experiments begin")
    parser.add_argument("-S", "--set-param", action="append", default=[], metavar="KEY=VALUES", dest="words")
    parser.add_argument("--on", default=HERE, metavar="ADDRESS", help="a Ray cluster: auto, HOST:PORT, ray://HOST:PORT")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time on this machine")
    parser.add_argument("--cpus", type=float, default=1, help="processors that a run takes on a cluster")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs, or a share of one, likewise")
    parser.add_argument("--retries", type=int, default=1, help="further tries of a run that fails")
    parser.add_argument("--limit", type=float, metavar="MINUTES", help="a run that takes longer is stopped")
    parser.add_argument(
        "--search", type=int, metavar="RUNS", help="draw so many (Optuna), guided by their scores on dev"
    )
    parser.add_argument(
        "--metric", default="dev.uar", help="search: key in metrics/audio/metrics.json, e.g. dev.ccc.mean"
    )
    parser.add_argument("--prune", action="store_true", help="search: stop a run whose score on dev is, at some epoch, "
        "below what half of the others had there")  # fmt: skip
    parser.add_argument("--seed", type=int, default=42, help="search: of what is drawn")


def run(arguments: argparse.Namespace) -> None:
    """Carry the sweep out.

    Raises:
        UserError: before the first run, where a parameter, the repository or the cluster is not as it must be; at the
            end, where runs failed
    """
    if not re.fullmatch(r"[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*", arguments.name):
        raise UserError(f"{arguments.name}: not a name; take letters, digits, _ and -")
    if len(arguments.name) > LONGEST:
        raise UserError(f"{arguments.name}: {len(arguments.name)} characters; at most {LONGEST}")
    for flag, least in (("jobs", 1), ("retries", 0), ("cpus", 0.001), ("gpus", 0), ("limit", 0.001), ("search", 1)):
        value = getattr(arguments, flag)
        if value is not None and not value >= least:
            raise UserError(f"--{flag} {value:g}: at least {least:g}")
    project, folder = Project(), SWEEPS / arguments.name
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "sweep.lock", timeout=0):  # with a full stop: no run has its name
            _run(arguments, project)
    except Timeout:
        raise UserError(f"{arguments.name}: this sweep is running already; wait for its end, or stop it") from None


def _run(arguments: argparse.Namespace, project: Project) -> None:
    folder, on_cluster = SWEEPS / arguments.name, arguments.on != HERE
    if on_cluster:
        project.share()
    cache = None if on_cluster else str(project.cache())
    configuration = project.configuration()
    limit = None if arguments.limit is None else arguments.limit * 60
    search: Search | None = None
    if arguments.search is None:
        runs = expand(arguments.name, arguments.words)
        project.check(runs)
        missing = project.missing(runs)
        prepared = preparations(project.stages, missing)
        done = [run for run in runs if run not in missing]
        print(f"{arguments.name}: {len(runs)} runs, of which {len(done)} are done")
        if not missing:
            return
        source = Grid(prepared, missing)
        table = Table(folder, [*(preparation.run for preparation in prepared), *missing], done)
    else:
        drawn = parsed(arguments.words)
        fixed = [o.input_line for o in drawn if not o.is_sweep_override()]
        stages = unaffected(project.stages, [o.key_or_group for o in drawn if o.is_sweep_override()])
        preparation = preparing(arguments.name, fixed, stages) if stages else None
        search = source = Search(
            arguments.name, arguments.words, arguments.metric, arguments.search, arguments.seed, folder, preparation,
            project.commit, project.names(), arguments.prune,
        )  # fmt: skip
        project.check(search.corners())
        done = search.done()
        print(f"{arguments.name}: {arguments.search} runs, of which {len(done)} are done")
        table = Table(folder, [], done)
    bundle, committed = project.bundle(), "" if search is None else project.content(search.curve)

    def job(run: Run) -> Job:
        watch = None if search is None or run.stages else Watch(search.curve, committed, search.medians())
        return Job(run, project.commit, configuration, cache, limit, watch)

    engine: Engine = (
        Ray(bundle, arguments.on, arguments.name, arguments.cpus, arguments.gpus)
        if on_cluster
        else Local(bundle, folder, arguments.jobs)
    )
    try:
        carry_out(source, engine, project, job, table, arguments.retries)
    finally:
        engine.close()
    if search is not None and (best := search.best()):
        print(best)
    failed = table.failed()
    if failed:
        names = ", ".join(entry.run for entry in failed[:5])
        raise UserError(f"{len(failed)} run(s) failed: {names}; {folder}/runs.csv says why, and the logs are beside it")
