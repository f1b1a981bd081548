"""Predict the VAD of training utterances from audio, where the forest takes it."""

from __future__ import annotations

import pandas as pd

from emopipe.audio.parameters import Model, Train
from emopipe.io.errors import run_stage
from emopipe.parameters import Runtime
from emopipe.schemas import tables
from emopipe.schemas.splits import AUDIO, read_audio
from emopipe.schemas.vad import AUDIO_VAD, INPUT_BRANCHES, PredictedVad
from emopipe.training.parameters import CrossFitting


def main() -> None:
    """Write data/vad/audio.csv, empty where the forest takes text alone."""
    settings = CrossFitting.load()
    if "audio" not in INPUT_BRANCHES[settings.inputs]:
        print(f"cross_fit_audio: forest.inputs is {settings.inputs}; nothing to do")
        _write(pd.DataFrame(columns=list(PredictedVad.model_fields)))
        return
    _predict(settings, Model.load(), Train.load(), Runtime.load())


def _predict(settings: CrossFitting, model: Model, train: Train, runtime: Runtime) -> None:
    # Here: PyTorch takes seconds to import, and this stage runs for every change of an audio model.
    from emopipe.audio.cross_fitting import training_vad
    from emopipe.encoding.store import Store
    from emopipe.forest.inputs import require_two_emotions
    from emopipe.io.ranks import is_first
    from emopipe.training.checkpoints import checkpoint_folder
    from emopipe.training.devices import launch, set_up
    from emopipe.training.fitting import Run
    from emopipe.training.tracking import Tracker

    if launch("stages.cross_fit_audio", runtime):
        return
    device = set_up(runtime, train.seed)
    store, rows = Store(), read_audio()
    labelled = rows[(rows["split"] == "train") & (rows["emotion"] != "")]
    require_two_emotions(labelled["emotion"], "audio")  # before regressors are trained for nothing
    files = [AUDIO, *store.files]
    with checkpoint_folder("cross_fit_audio", [settings, model, train], runtime, files) as folder:
        run = Run(device, Tracker("cross_fit_audio"), folder, runtime.threads)
        vad = training_vad(rows, settings, model, train, store, run)
        if is_first():
            _write(vad[list(PredictedVad.model_fields)])
            print(f"cross_fit_audio: {settings.vad} VAD of {len(vad)} utterances")


def _write(table: pd.DataFrame) -> None:
    tables.write(table, AUDIO_VAD, PredictedVad)


if __name__ == "__main__":
    run_stage(main)
