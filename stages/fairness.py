"""Test the trained models by the published rules: are they correct, and alike for everybody?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from emopipe.io.errors import run_stage
from emopipe.io.outputs import write_json
from emopipe.recordings import resampled
from emopipe.schemas import predictions, splits
from emopipe.schemas.predictions import TRAINED
from emopipe.schemas.tables import write_csv
from emopipe.scoring.evaluation import targets_of
from emopipe.scoring.targets import EmotionTarget, Target
from emopipe.trust import correctness, fairness, tables
from emopipe.trust.pitch import mean_f0
from emopipe.trust.results import Result

METRICS = Path("metrics/fairness.json")
COLUMNS = ["branch", *Result._fields]


def main() -> None:
    """Write data/fairness.csv, a row per test, and metrics/fairness.json, how many of each were passed."""
    read = {"emotion": predictions.read_emotion(), "vad": predictions.read_vad()}
    read = {name: table[table["model"] == TRAINED] for name, table in read.items()}
    emotions = pd.concat([splits.read_audio(), splits.read_text()])[["utterance", "emotion"]].drop_duplicates(
        "utterance"
    )
    found = []
    for branch, own in targets_of(read).items():
        for target in own.values():
            found += [(branch, *one) for one in _tested(branch, target, emotions)]
    table = pd.DataFrame(found, columns=COLUMNS)
    write_csv(table, tables.FAIRNESS, tables.FORMAT)
    judged = table[table["passed"].notna()].astype({"passed": int})
    counts = judged.groupby(["branch", "test"], sort=False)["passed"].agg(["sum", "size"])
    scores: dict[str, dict[str, dict[str, int]]] = {}
    for (branch, test), row in counts.iterrows():
        scores.setdefault(branch, {})[test] = {"passed": int(row["sum"]), "tested": int(row["size"])}
    write_json(scores, METRICS)
    print(
        f"fairness: {judged['passed'].sum()} of {len(judged)} tests passed, {len(table) - len(judged)} not applicable"
    )


def _tested(branch: str, target: Target, emotions: pd.DataFrame) -> Iterator[Result]:
    if isinstance(target, EmotionTarget):
        yield from correctness.emotions(target)
    else:
        yield from correctness.dimensions(target)
        answers = pd.DataFrame(target.predictions[TRAINED], columns=target.dimensions)
        who = target.utterances[["utterance"]].reset_index(drop=True).join(answers)
        yield from correctness.consistency(who.merge(emotions, on="utterance"))
    yield from fairness.by_sex(target)
    if branch == "audio":
        yield from fairness.by_pitch(target, _f0(target.utterances["utterance"]))
    yield from fairness.by_language(target)


def _f0(utterances: pd.Series) -> dict[str, float]:
    """Return the mean F0 of utterances of the audio branch, in Hz."""
    return {
        name: mean_f0(resampled.samples(file))
        for name, file in zip(utterances, resampled.files(utterances), strict=True)
    }


if __name__ == "__main__":
    run_stage(main)
