"""Pool the folds of a cross-validation: one score over all test predictions, and the spread over folds.

    dvc exp run --queue -S 'split.audio.strategy=speaker_folds' -S 'split.audio.fold=range(0,5)'
    dvc queue start
    emopipe crossval --all         # every set of experiments that differ in the fold alone
    emopipe crossval EXP EXP ...   # those that are named

No utterance may be tested twice.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.commands import experiments
from emopipe.io.errors import UserError
from emopipe.io.outputs import write_json
from emopipe.schemas.predictions import TRAINED
from emopipe.schemas.tables import SHOWN, write_csv
from emopipe.scoring.targets import TARGETS, Target

FOLD = "split.audio.fold"
FOLDER = Path("metrics/crossval")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("experiments", nargs="*", default=[], metavar="EXP", help="names or patterns of experiments")
    chosen.add_argument("--all", action="store_true", help="look among all experiments")


def run(arguments: argparse.Namespace) -> None:
    """Print the scores, and write metrics/crossval/NAME.json and NAME.csv, the pooled predictions.

    Raises:
        UserError: where no experiments are folds of one, or an utterance is tested in more than one fold
    """
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


def _pool(folds: Mapping[int, str]) -> None:
    """Score the audio model's test predictions of all folds, of emotions or of dimensions."""
    runs = {fold: experiments.predictions(name) for fold, name in folds.items()}
    tables = {
        target: pd.concat([_audio(run[target]).assign(fold=fold) for fold, run in runs.items()], ignore_index=True)
        for target in TARGETS
    }
    tested = [target for target, table in tables.items() if len(table)]
    if len(tested) != 1:
        raise UserError(f"{', '.join(folds.values())}: the folds test {' and '.join(tested) or 'nothing'} from audio")
    table, kind, name = tables[tested[0]], TARGETS[tested[0]], next(iter(folds.values()))
    twice = table.groupby("utterance", sort=False)["fold"].nunique().loc[lambda times: times > 1].index
    if len(twice):
        raise UserError(
            f"{', '.join(folds.values())}: {len(twice)} utterance(s) are tested in more than one fold: "
            f"{', '.join(twice[:SHOWN])}; choose a strategy that splits into folds (split.audio.strategy)"
        )
    whole, parts = kind.of(table), {fold: kind.of(rows) for fold, rows in table.groupby("fold")}
    scores = {"experiments": dict(folds), **_scores(whole, parts)}
    write_csv(table.dropna(axis=1, how="all"), FOLDER / f"{name}.csv")  # no probabilities of a forest's emotions
    write_json(scores, FOLDER / f"{name}.json")
    print(
        f"{len(folds)} folds, {len(whole.utterances)} utterances, {whole.utterances['speaker'].nunique()} speakers: "
        f"{FOLDER / name}.json"
    )
    for metric, pooled in scores["pooled"].items():
        limits = "" if pooled["low"] is None else f"  [{pooled['low']:.4f}, {pooled['high']:.4f}]"
        over = scores["folds"].get(metric)
        spread = "" if over is None else f"  over folds {over['mean']:.4f} +- {over['std']:.4f}"
        print(f"  {metric:20} {pooled['value']:.4f}{limits}{spread}")


def _audio(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["branch"] == "audio"]


def _scores(whole: Target, parts: Mapping[int, Target]) -> dict[str, Any]:
    """Return the pooled scores with their intervals, and the spread of those that are defined in every fold."""
    each = pd.DataFrame({fold: part.scores(TRAINED) for fold, part in parts.items()}).dropna()
    return {
        "pooled": {
            name: {"value": found.value, "low": found.low, "high": found.high}
            for name, found in whole.intervals(TRAINED).items()
        },
        "folds": {
            metric: {"mean": float(values.mean()), "std": float(values.std(ddof=1)), "values": values.tolist()}
            for metric, values in each.iterrows()
        },
    }
