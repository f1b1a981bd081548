"""Compare two models, or groups of runs, on the same test set: paired intervals and tests.

    python -m emopipe.commands.compare A B                 # git revisions, experiments, or workspace
    python -m emopipe.commands.compare 'wide-*' 'narrow-*' # several seeds of each

Test sets that differ are refused.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
import pandas as pd

from emopipe.commands import experiments
from emopipe.io.errors import UserError, run_stage
from emopipe.schemas import predictions
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import PREDICTED
from emopipe.scoring.mcnemar import mcnemar
from emopipe.scoring.paired import Difference, aligned, classification_difference, regression_difference
from emopipe.scoring.regression import flatten

HEADER = f"{'':20}{'A':>8}{'B':>8}{'A - B':>9}  {'95 % interval':>19}{'p':>8}"


def main() -> None:
    """Print, for each branch that all runs tested, the differences of every score."""
    parser = argparse.ArgumentParser(
        prog="emopipe compare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", metavar="A", help="a revision, or several with commas between or as a pattern")
    parser.add_argument("b", metavar="B", help="likewise")
    arguments = parser.parse_args()
    sides = [experiments.matching(names.split(",")) for names in (arguments.a, arguments.b)]
    for letter, revisions in zip("AB", sides, strict=True):
        print(f"{letter}: {', '.join(revisions)}")
    compared = [_audio(*sides), _text(*sides), _forest(*sides)]
    if not any(compared):
        raise UserError("the revisions have no test predictions of one branch in common")


def _audio(a: Sequence[str], b: Sequence[str]) -> bool:
    tables = [predictions.read_audio(experiments.read(predictions.AUDIO, revision)) for revision in (*a, *b)]
    if not all(len(table) for table in tables):
        return False
    first, *others = (predictions.targets_of(table) for table in tables)
    if any(targets != first for targets in others):
        raise UserError("the revisions do not predict the same from audio: compare runs of one model.task and targets")
    tables = aligned(tables, [*(first or ["truth"]), "speaker"])
    print(f"\naudio: {_described(tables[0])}\n{HEADER}")
    if first:
        _show_ratings(tables, first, len(a))
    else:
        _show_emotions(tables[0]["truth"], [table["prediction"] for table in tables], len(a), tables[0]["speaker"])
    return True


def _text(a: Sequence[str], b: Sequence[str]) -> bool:
    tables = [predictions.read_text(experiments.read(predictions.TEXT, revision)) for revision in (*a, *b)]
    if not all(len(table) for table in tables):
        return False
    tables = aligned(tables, ["emotion", "speaker", *DIMENSIONS])
    print(f"\ntext: {_described(tables[0])}\n{HEADER}")
    rated = tables[0][list(DIMENSIONS)].notna().all(axis=1)
    if rated.any():
        _show_ratings([table[rated] for table in tables], DIMENSIONS, len(a))
    named = np.logical_and.reduce([table[f"emotion{s}"] != "" for table in tables for s in ("", PREDICTED)])
    if named.any():
        runs = [table.loc[named, f"emotion{PREDICTED}"] for table in tables]
        _show_emotions(tables[0].loc[named, "emotion"], runs, len(a), tables[0].loc[named, "speaker"])
    return True


def _forest(a: Sequence[str], b: Sequence[str]) -> bool:
    tables = [predictions.read_forest(experiments.read(predictions.FOREST, revision)) for revision in (*a, *b)]
    if not all(len(table) for table in tables):
        return False
    tables = aligned(tables, ["truth", "speaker"])
    print(f"\nforest: {_described(tables[0])}\n{HEADER}")
    _show_emotions(tables[0]["truth"], [table["prediction"] for table in tables], len(a), tables[0]["speaker"])
    return True


def _described(table: pd.DataFrame) -> str:
    speakers = table.loc[table["speaker"] != "", "speaker"].nunique()
    return f"{len(table)} test utterances, resampled by " + (f"speaker ({speakers})" if speakers else "utterance")


def _show_ratings(tables: Sequence[pd.DataFrame], names: Sequence[str], of_a: int) -> None:
    gold = tables[0][list(names)].to_numpy()
    runs = [table[[f"{name}{PREDICTED}" for name in names]].to_numpy() for table in tables]
    _show(flatten(regression_difference(gold, runs[:of_a], runs[of_a:], tables[0]["speaker"], names)))


def _show_emotions(truth: pd.Series, runs: Sequence[pd.Series], of_a: int, speakers: pd.Series) -> None:
    _show(classification_difference(truth, runs[:of_a], runs[of_a:], speakers))
    if len(runs) == 2:
        test = mcnemar(*((run == truth).to_numpy() for run in runs))
        alone = f"right by A alone {test.only_a}, by B alone {test.only_b}"
        print(f"McNemar ({test.method}): {alone}, p {test.p:.4f}")


def _show(differences: dict[str, Difference]) -> None:
    for name, d in differences.items():
        limits = f"{'-':>19}" if d.low is None else f"[{d.low:+.4f}, {d.high:+.4f}]"
        p = f"{'-':>8}" if d.p is None else f"{d.p:8.4f}"
        print(f"{name:20}{d.a:8.4f}{d.b:8.4f}{d.value:+9.4f}  {limits:>19}{p}  {d.note}".rstrip())


if __name__ == "__main__":
    run_stage(main)
