"""Train the audio model on the encoded store."""

from __future__ import annotations

from pathlib import Path

from emopipe.audio import saving
from emopipe.audio.fitting import fit
from emopipe.audio.parameters import Model, Train
from emopipe.encoding.store import Store
from emopipe.io.errors import run_stage
from emopipe.io.ranks import is_first
from emopipe.parameters import Runtime
from emopipe.schemas.splits import AUDIO, read_audio
from emopipe.training.checkpoints import checkpoint_folder
from emopipe.training.devices import launch, set_up
from emopipe.training.fitting import Run
from emopipe.training.tracking import Tracker, live, write_nothing

METRICS = Path("metrics/audio")


def main() -> None:
    """Train on the train set, select the epoch on dev, write models/audio and metrics/audio."""
    settings, train, runtime = Model.load(), Train.load(), Runtime.load()
    if launch("stages.finetune_audio", runtime):
        return
    device = set_up(runtime, train.seed)
    store, split = Store(), read_audio()
    if split.empty:
        if is_first():
            print("finetune_audio: data/splits/audio.csv has no utterances; nothing to train")
            write_nothing(METRICS)
            saving.save_none()
        return
    sets = [split[split["split"] == name] for name in ("train", "dev")]
    checkpoints = checkpoint_folder("finetune_audio", [settings, train], runtime, [AUDIO, *store.files])
    with checkpoints as folder, live(METRICS) as opened:
        run = Run(device, Tracker("finetune_audio", opened, runtime.tensorboard), folder, runtime.threads)
        trained = fit(*sets, settings, train, store, run)
        if is_first():
            saving.save(trained)


if __name__ == "__main__":
    run_stage(main)
