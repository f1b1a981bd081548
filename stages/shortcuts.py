"""How far does what a recording gives away get, as its length or its noise, without any network?"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pandas as pd

from emopipe.io.errors import run_stage
from emopipe.io.outputs import write_json
from emopipe.parameters import Runtime
from emopipe.recordings import resampled
from emopipe.schemas.splits import read_audio
from emopipe.schemas.tables import write_csv
from emopipe.splits.parameters import AudioTarget
from emopipe.trust import tables
from emopipe.trust.associations import Association, associations
from emopipe.trust.classical import classical, egemaps
from emopipe.trust.measures import MEASURES, measure
from emopipe.trust.parameters import Shortcuts
from emopipe.trust.shortcuts import Shortcut, shortcuts

METRICS = Path("metrics/shortcuts.json")
EGEMAPS = "egemaps"
CHUNK = 64  # recordings that a process is given at a time


def main() -> None:
    """Write data/shortcuts and metrics/shortcuts.json."""
    settings, target, runtime, rows = Shortcuts.load(), AudioTarget.load(), Runtime.load(), read_audio()
    targets = target.targets if target.task == "regression" else []
    files = resampled.files(rows["utterance"])
    measured = pd.DataFrame(_measured(files, runtime.workers), columns=list(MEASURES))
    write_csv(rows[["utterance"]].join(measured), tables.MEASURES, tables.FORMAT)
    rows = rows.join(measured)
    found, strengths = (shortcuts(rows, targets), associations(rows, targets)) if len(rows) else ([], [])
    if settings.egemaps and not targets and len(rows):
        found.append(_egemaps(rows, files, found[0].baseline))
    tables.write(found, Shortcut, tables.SHORTCUTS)
    tables.write(strengths, Association, tables.ASSOCIATIONS)
    scores: dict[str, dict[str, float]] = {}
    for one in found:
        if one.value is not None:
            scores.setdefault(one.name, {})[one.score] = one.value
    write_json(scores, METRICS)
    telling = [one.name for one in found if one.found]
    print(f"shortcuts: beyond chance on the test set: {', '.join(dict.fromkeys(telling)) or 'none'}")


def _measured(files: list[Path], workers: int) -> Iterable[dict[str, float]]:
    with ProcessPoolExecutor(workers, get_context("fork")) as pool:
        yield from pool.map(_measure, files, chunksize=CHUNK)


def _measure(file: Path) -> dict[str, float]:
    return measure(resampled.samples(file))


def _egemaps(rows: pd.DataFrame, files: list[Path], baseline: float) -> Shortcut:
    """Return the score of the field's classical baseline in the form of a shortcut's."""
    found = classical(egemaps(map(resampled.samples, files)), rows)
    note = f"logistic regression on 88 functionals, C = {found.strength:g} by dev"
    return Shortcut(
        EGEMAPS, "uar", found.uar.value, found.uar.low, found.uar.high, None, baseline, len(found.prediction), note
    )


if __name__ == "__main__":
    run_stage(main)
