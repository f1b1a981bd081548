"""Pool the folds of a cross-validation: one score over all test predictions, and the spread over folds.

    dvc exp run --queue -S 'split.audio.strategy=speaker_folds' -S 'split.audio.fold=range(0,5)'
    dvc queue start
    python -m emopipe.commands.crossval --all         # every set of experiments that differ in the fold alone
    python -m emopipe.commands.crossval EXP EXP ...   # those that are named

No utterance may be tested twice.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.commands import experiments
from emopipe.io.errors import UserError, run_stage
from emopipe.io.outputs import write_json
from emopipe.schemas import predictions
from emopipe.schemas.predictions import PREDICTED, targets_of
from emopipe.schemas.tables import SHOWN
from emopipe.scoring.bootstrap import classification_intervals, regression_intervals
from emopipe.scoring.classification import classification
from emopipe.scoring.intervals import Interval
from emopipe.scoring.regression import flatten, regression

FOLD, FOLDS = "split.audio.fold", "split.audio.folds"
FOLDER = Path("metrics/crossval")

Scores = tuple[dict[str, Interval], Callable[[pd.DataFrame], dict[str, float]]]  # of all rows, and of a fold's


def main() -> None:
    """Print the scores, and write metrics/crossval/NAME.json and NAME.csv, the pooled predictions."""
    parser = argparse.ArgumentParser(
        prog="emopipe crossval",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("experiments", nargs="*", metavar="EXP", help="names or patterns of experiments")
    parser.add_argument("--all", action="store_true", help="look among all experiments")
    arguments = parser.parse_args()
    if arguments.all == bool(arguments.experiments):
        parser.error("name experiments, or give --all")
    revisions = experiments.names() if arguments.all else experiments.matching(arguments.experiments)
    groups = _groups(revisions)
    if not arguments.all and len(groups) > 1:
        raise UserError(f"these experiments are not folds of one: they differ in {', '.join(_differing(revisions))}")
    pooled = [folds for folds in groups if len(folds) > 1]
    if not pooled:
        raise UserError(f"no two of the {len(revisions)} experiment(s) differ in {FOLD} alone")
    for folds in pooled:
        _pool(folds)


def _groups(revisions: Sequence[str]) -> list[dict[int, str]]:
    """Return the experiments that differ in the fold alone, by fold; of a fold that was run twice, one."""
    groups: dict[str, dict[int, str]] = {}
    for revision in revisions:
        values = experiments.parameters(revision)
        fold = values.pop(FOLD)
        groups.setdefault(json.dumps(values, sort_keys=True), {})[fold] = revision
    return [dict(sorted(folds.items())) for folds in groups.values()]


def _differing(revisions: Sequence[str]) -> list[str]:
    tables = [experiments.parameters(revision) for revision in revisions]
    keys = sorted(set().union(*tables) - {FOLD})
    return [key for key in keys if len({json.dumps(table.get(key)) for table in tables}) > 1]


def _pool(folds: dict[int, str]) -> None:
    tables = {n: predictions.read_audio(experiments.read(predictions.AUDIO, name)) for n, name in folds.items()}
    table = pd.concat([rows.assign(fold=fold) for fold, rows in tables.items()], ignore_index=True)
    twice = table.loc[table["utterance"].duplicated(), "utterance"].unique()
    if len(twice):
        raise UserError(
            f"{', '.join(folds.values())}: {len(twice)} utterance(s) are tested in more than one fold: "
            f"{', '.join(twice[:SHOWN])}; choose a strategy that splits into folds (split.audio.strategy)"
        )
    scores = _scores(table, folds)
    name = next(iter(folds.values()))
    predictions.write(table, FOLDER / f"{name}.csv")
    write_json(scores, FOLDER / f"{name}.json")
    print(f"{len(folds)} folds, {len(table)} utterances, {table['speaker'].nunique()} speakers: {FOLDER / name}.json")
    for metric, pooled in scores["pooled"].items():
        limits = "" if pooled["low"] is None else f"  [{pooled['low']:.4f}, {pooled['high']:.4f}]"
        over = scores["folds"].get(metric)
        spread = "" if over is None else f"  over folds {over['mean']:.4f} +- {over['std']:.4f}"
        print(f"  {metric:20} {pooled['value']:.4f}{limits}{spread}")


def _scores(table: pd.DataFrame, folds: dict[int, str]) -> dict[str, Any]:
    intervals, of_fold = _ratings(table, targets) if (targets := targets_of(table)) else _emotions(table)
    each = pd.DataFrame({fold: of_fold(rows) for fold, rows in table.groupby("fold")})
    return {
        "experiments": folds,
        "pooled": {
            name: {"value": found.value, "low": found.low, "high": found.high} for name, found in intervals.items()
        },
        "folds": {
            metric: {"mean": float(values.mean()), "std": float(values.std(ddof=1)), "values": values.tolist()}
            for metric, values in each.iterrows()
        },
    }


def _emotions(table: pd.DataFrame) -> Scores:
    intervals = classification_intervals(table["truth"], table["prediction"], table["speaker"])
    return intervals, lambda rows: classification(rows["truth"], rows["prediction"])


def _ratings(table: pd.DataFrame, targets: list[str]) -> Scores:
    said = [f"{name}{PREDICTED}" for name in targets]
    found = regression_intervals(table[targets].to_numpy(), table[said].to_numpy(), table["speaker"], targets)
    return flatten(found), lambda rows: flatten(regression(rows[targets].to_numpy(), rows[said].to_numpy(), targets))


if __name__ == "__main__":
    run_stage(main)
