"""Compare two models, or groups of runs, on the same test set: paired intervals and tests.

    emopipe compare A B                    # git revisions, experiments, or workspace
    emopipe compare 'wide-*' 'narrow-*'    # several seeds of each

Test sets that differ are refused.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import pandas as pd

from emopipe.commands import experiments
from emopipe.io.errors import UserError
from emopipe.schemas.predictions import BRANCHES
from emopipe.scoring.paired import Difference
from emopipe.scoring.targets import TARGETS, EmotionTarget, Target

HEADER = f"{'':20}{'A':>8}{'B':>8}{'A - B':>9}  {'95 % interval':>19}{'p':>8}"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("a", metavar="A", help="a revision, or several with commas between or as a pattern")
    parser.add_argument("b", metavar="B", help="likewise")


def run(arguments: argparse.Namespace) -> None:
    """Print, for each branch that all runs tested, the differences of every score of the trained models.

    Raises:
        UserError: where the runs have no test set in common
    """
    sides = [experiments.matching(names.split(",")) for names in (arguments.a, arguments.b)]
    for letter, revisions in zip("AB", sides, strict=True):
        print(f"{letter}: {', '.join(revisions)}")
    runs = [experiments.predictions(revision) for side in sides for revision in side]
    common = [branch for branch in BRANCHES if all(_predicted(run, branch) for run in runs)]
    if not common:
        raise UserError("the revisions have no test predictions of one branch in common")
    for branch in common:
        if len({_predicted(run, branch) for run in runs}) > 1:
            raise UserError(
                f"the revisions do not predict the same from {branch}: compare runs of one model.task and targets"
            )
        for name in TARGETS:
            tables = [_of_branch(run[name], branch).assign(model=str(i)) for i, run in enumerate(runs)]
            target = TARGETS[name].of(pd.concat(tables))
            if len(target.utterances):
                _show(branch, target, len(sides[0]))


def _of_branch(table: pd.DataFrame, branch: str) -> pd.DataFrame:
    return table[table["branch"] == branch]


def _predicted(run: Mapping[str, pd.DataFrame], branch: str) -> frozenset[str]:
    """Return what a run predicts from a branch: ``emotion``, or dimensions."""
    emotion, vad = (_of_branch(run[name], branch) for name in ("emotion", "vad"))
    return frozenset(vad["dimension"]) | ({"emotion"} if len(emotion) else frozenset())


def _show(branch: str, target: Target, of_a: int) -> None:
    speakers = target.utterances.loc[target.utterances["speaker"] != "", "speaker"].nunique()
    by = f"speaker ({speakers})" if speakers else "utterance"
    print(f"\n{branch}: {len(target.utterances)} test utterances, resampled by {by}\n{HEADER}")
    a, b = target.models[:of_a], target.models[of_a:]
    for name, difference in target.differences(a, b).items():
        print(_line(name, difference))
    if isinstance(target, EmotionTarget) and len(a) == len(b) == 1:
        test = target.mcnemar(*a, *b)
        only = f"right by A alone {test.only_a}, by B alone {test.only_b}"
        print(f"McNemar ({test.method}): {only}, p {test.p:.4f}")


def _line(name: str, d: Difference) -> str:
    limits = f"{'-':>19}" if d.low is None else f"[{d.low:+.4f}, {d.high:+.4f}]"
    p = f"{'-':>8}" if d.p is None else f"{d.p:8.4f}"
    return f"{name:20}{d.a:8.4f}{d.b:8.4f}{d.value:+9.4f}  {limits:>19}{p}  {d.note}".rstrip()
