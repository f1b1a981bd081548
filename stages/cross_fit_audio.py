"""Predict valence, arousal and dominance of training utterances from sound, for a forest that hears."""

from __future__ import annotations

from typing import Any

import pandas as pd

from emopipe.audio.parameters import Model, Train
from emopipe.io.errors import run_stage
from emopipe.parameters import Runtime
from emopipe.schemas import tables
from emopipe.schemas.splits import AUDIO, read_audio
from emopipe.schemas.vad import HEARD, Heard
from emopipe.training.parameters import CrossFitting


def main() -> None:
    """Write data/audio_vad.csv, empty where the forest learns from words alone."""
    cross = CrossFitting.load()
    inputs, kind, parts = cross.inputs, cross.vad, cross.cross_fit
    model, train, runtime = Model.load(), Train.load(), Runtime.load()
    if inputs == "text":
        print("cross_fit_audio: forest.inputs is text; nothing to do")
        _write(pd.DataFrame(columns=list(Heard.model_fields)))
    else:
        _predict(inputs, kind, parts, model, train, runtime)


def _predict(inputs: str, kind: Any, parts: int, model: Model, train: Train, runtime: Runtime) -> None:
    # Here: PyTorch takes seconds to import, and this stage runs for every change of an audio model.
    from emopipe.audio.cross_fitting import training_vad
    from emopipe.encoding.store import Store
    from emopipe.forest.fitting import require_two
    from emopipe.training import checkpoints
    from emopipe.training.device import set_up
    from emopipe.training.processes import is_first, together

    if together("stages.cross_fit_audio", runtime):
        return
    device = set_up(runtime, train.seed)
    store, rows = Store(), read_audio()
    emotions = rows.loc[(rows["split"] == "train") & (rows["emotion"] != ""), "emotion"]
    require_two(emotions, "audio")  # before regressors are trained for nothing
    with checkpoints.kept("cross_fit_audio", [model, train], runtime, [AUDIO, *store.files]) as folder:
        found = training_vad(rows, kind, parts, model, train, store, device, folder)
        if is_first():
            _write(found[list(Heard.model_fields)])
            print(f"cross_fit_audio: {kind} VAD of {len(found)} utterances, for forest.inputs: {inputs}")


def _write(table: pd.DataFrame) -> None:
    tables.write(table, HEARD, Heard)


if __name__ == "__main__":
    run_stage(main)
