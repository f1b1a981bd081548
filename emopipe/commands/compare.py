"""Compare two models, or groups of runs, on the same test set: paired intervals and tests.

    emopipe compare A B                    # git revisions, experiments, or workspace
    emopipe compare 'wide-*' 'narrow-*'    # several seeds of each

Test sets that differ are refused.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import pandas as pd

from emopipe.commands import experiments
from emopipe.io.errors import UserError
from emopipe.schemas.predictions import BRANCHES, PROBABILITY
from emopipe.scoring.paired import Difference
from emopipe.scoring.targets import TARGETS, EmotionTarget, Target

HEADER = f"{'':27}{'A':>8}{'B':>8}{'A - B':>9}  {'95 % interval':>19}{'p':>8}"


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
    if "audio" in common:
        _show_conditions(runs, [experiments.under_conditions(revision) for side in sides for revision in side], sides)


def _show_conditions(
    runs: Sequence[Mapping[str, pd.DataFrame]],
    tested: Sequence[Mapping[tuple[str, str], pd.DataFrame]],
    sides: Sequence[Sequence[str]],
) -> None:
    """Print the differences of the headline score under every condition that all runs were tested under, and in all."""
    shared = [one for one in tested[0] if all(one in own for own in tested)]
    name = "emotion" if len(_of_branch(runs[0]["emotion"], "audio")) else "vad"
    score = "uar" if name == "emotion" else "ccc.mean"
    if shared:
        print(f"\naudio under conditions: {score}\n{HEADER}")
    under = {
        f"{condition} {level}": [
            _answered(_of_branch(run[name], "audio"), own[condition, level]).assign(model=str(i))
            for i, (run, own) in enumerate(zip(runs, tested, strict=True))
        ]
        for condition, level in shared
    }
    if len(under) > 1:  # the answers of all as one test set, in which every utterance stands several times
        under["all of these"] = [
            table.assign(utterance=f"{condition}/" + table["utterance"])
            for condition, tables in under.items()
            for table in tables
        ]
    for condition, tables in under.items():
        target = TARGETS[name].of(pd.concat(tables))
        a, b = target.models[: len(sides[0])], target.models[len(sides[0]) :]
        if score in (found := target.differences(a, b)):
            print(_line(condition, found[score]))


def _answered(predicted: pd.DataFrame, answers: pd.DataFrame) -> pd.DataFrame:
    """Return predictions with the answers under a condition in their place.

    Args:
        predicted: rows of the audio branch in a table of predictions
        answers: of the same utterances, their cells as text
    """
    own = answers.set_index("utterance").loc[predicted["utterance"]]
    if "dimension" not in predicted:
        return predicted.drop(columns=list(predicted.filter(like=PROBABILITY))).assign(prediction=own["emotion"].array)
    places = own.columns.get_indexer(predicted["dimension"])
    return predicted.assign(prediction=own.to_numpy()[range(len(own)), places].astype(float))


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
    return f"{name:27}{d.a:8.4f}{d.b:8.4f}{d.value:+9.4f}  {limits:>19}{p}  {d.note}".rstrip()
