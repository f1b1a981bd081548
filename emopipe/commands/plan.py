"""Say what a corpus costs with the parameters of params.yaml: disk, processor time, and transfer to a cluster.

    emopipe plan 100                                              # 100 hours of speech
    emopipe plan 100 --clip-seconds 6 --recordings some/*.wav     # that much of a corpus like these
    emopipe plan 100 --folds 5 --seeds 3 --machines 4 --cores 8   # a cross-validation on a cluster

What things cost is measured here, on a few clips of noise: seconds with a small backbone, minutes with a large one.
Processor time is that of this machine's processors (a GPU is not looked at) and grows a little where other work shares
them. Wall time is the least it can be: the cores always busy, whole trainings dealt to the machines. How small FLAC
is, and what resampling takes, depends on the recordings: without --recordings they are taken to be at 16 kHz, and FLAC
to be 13.4 kB a second (9 and 19 in two real corpora). Training counts with the shares of split.audio.fractions.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from emopipe import costs
from emopipe.audio.parameters import Model, Train
from emopipe.encoding.parameters import Encode
from emopipe.io.errors import UserError
from emopipe.parameters import Runtime
from emopipe.splits.parameters import Partition

SHORTEST = 0.1  # seconds of a clip


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("hours", type=float, metavar="HOURS", help="of speech")
    parser.add_argument("--clip-seconds", type=float, default=4, help="length of an utterance")
    parser.add_argument(
        "--conditions", type=int, help="under which each is encoded, the original one included; default: of params.yaml"
    )
    parser.add_argument("--machines", type=int, default=1)
    parser.add_argument("--cores", type=int, default=2, help="of a machine")
    parser.add_argument("--folds", type=int, default=1, help="that are trained")
    parser.add_argument("--seeds", type=int, default=1, help="that each fold is trained from")
    parser.add_argument("--recordings", nargs="+", type=Path, default=[], metavar="FILE", help="of such a corpus")


def run(arguments: argparse.Namespace) -> None:
    """Measure, and print the table.

    Raises:
        UserError: where a number makes no sense, the backbone is not available, or a recording cannot be used
    """
    if not (math.isfinite(arguments.hours) and arguments.hours > 0):
        raise UserError(f"HOURS {arguments.hours:g}: a number above 0")
    if not (math.isfinite(arguments.clip_seconds) and arguments.clip_seconds >= SHORTEST):
        raise UserError(f"--clip-seconds {arguments.clip_seconds:g}: at least {SHORTEST:g}")
    for flag in ("conditions", "machines", "cores", "folds", "seeds"):
        number = getattr(arguments, flag)
        if number is not None and number < 1:
            raise UserError(f"--{flag} {number}: at least 1")
    model, encode, train, runtime = Model.load(), Encode.load(), Train.load(), Runtime.load()
    corpus = costs.Corpus(
        max(1, round(arguments.hours * 3600 / arguments.clip_seconds)),
        arguments.clip_seconds,
        arguments.conditions or encode.versions,
        arguments.folds * arguments.seeds,
        *Partition.load("split.audio").fractions[:2],
    )
    print(f"measuring {model.backbone}, on this machine's processors", file=sys.stderr)
    with TemporaryDirectory() as folder:
        measured = costs.measure(
            arguments.clip_seconds, model, encode, train, runtime, arguments.recordings, Path(folder)
        )
    print(
        f"{corpus.utterances:,} utterances of {corpus.seconds:g} s, under {corpus.conditions} condition(s), "
        f"{corpus.runs} training(s); model.backbone {model.backbone}, model.features {model.features}"
    )
    _print_sizes("on the disk", costs.disk(corpus, measured))
    seconds = costs.processor_seconds(corpus, measured, model, train)
    _print_times(seconds, corpus.runs, arguments.machines, arguments.cores)
    _print_sizes("to a cluster and back", costs.transfer(corpus, measured, arguments.machines))


def _print_sizes(title: str, sizes: Mapping[str, float]) -> None:
    print(f"\n{title}")
    for name, size in sizes.items():
        print(f"  {name:40}{_size(size):>12}")


def _print_times(seconds: Mapping[str, float], runs: int, machines: int, cores: int) -> None:
    """Print the times of stages; what is done for every run is told of all of them together."""
    print(f"\n{'time':42}{'processor':>12}{f'{machines} x {cores} cores':>15}")
    rows = {}
    for name, one in seconds.items():
        if name in costs.OF_A_RUN:  # a machine does whole runs
            rows[name] = runs * one, math.ceil(runs / machines) * one / cores
        else:
            rows[name] = one, one / machines / cores
    rows["all"] = tuple(map(sum, zip(*rows.values(), strict=True)))
    for name, (processor, wall) in rows.items():
        print(f"  {name:40}{_duration(processor):>12}{_duration(wall):>15}")


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} h"
