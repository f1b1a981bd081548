"""Predict the VAD of training utterances from text, where the forest takes it."""

from __future__ import annotations

import pandas as pd

from emopipe.io.errors import run_stage
from emopipe.parameters import Runtime
from emopipe.schemas import tables
from emopipe.schemas.splits import TEXT, read_text
from emopipe.schemas.vad import INPUT_BRANCHES, TEXT_VAD, PredictedVad
from emopipe.training.parameters import CrossFitting


def main() -> None:
    """Write data/vad/text.csv, empty where the forest takes audio alone, or no training text has an emotion."""
    settings, rows = CrossFitting.load(), read_text()
    labelled = rows[(rows["split"] == "train") & (rows["emotion"] != "")]
    if "text" not in INPUT_BRANCHES[settings.inputs] or labelled.empty:
        reason = f"forest.inputs is {settings.inputs}" if len(labelled) else "no training text has an emotion"
        print(f"cross_fit_text: {reason}; nothing to do")
        _write(pd.DataFrame(columns=list(PredictedVad.model_fields)))
        return
    _predict(settings, rows, Runtime.load())


def _predict(settings: CrossFitting, rows: pd.DataFrame, runtime: Runtime) -> None:
    # Here: PyTorch takes seconds to import, and where there is nothing to predict nobody waits for it.
    from emopipe.forest.inputs import require_two_emotions
    from emopipe.io.ranks import is_first
    from emopipe.text import saving
    from emopipe.text.cross_fitting import training_vad
    from emopipe.training.checkpoints import checkpoint_folder
    from emopipe.training.devices import launch, set_up
    from emopipe.training.fitting import Run
    from emopipe.training.tracking import Tracker

    require_two_emotions(rows.loc[(rows["split"] == "train") & (rows["emotion"] != ""), "emotion"], "text")
    if launch("stages.cross_fit_text", runtime):
        return
    trained = saving.load()
    device = set_up(runtime, trained.settings.seed)
    with checkpoint_folder("cross_fit_text", [settings, trained.settings], runtime, [TEXT]) as folder:
        run = Run(device, Tracker("cross_fit_text"), folder, runtime.threads)
        vad = training_vad(rows, trained, settings, run)
        if is_first():
            _write(vad[list(PredictedVad.model_fields)])
            print(f"cross_fit_text: {settings.vad} VAD of {len(vad)} utterances")


def _write(table: pd.DataFrame) -> None:
    tables.write(table, TEXT_VAD, PredictedVad)


if __name__ == "__main__":
    run_stage(main)
