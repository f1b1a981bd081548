"""Train the audio model on the encoded store."""

from __future__ import annotations

from pathlib import Path

from stages.audio import saving
from stages.audio.fitting import fit
from stages.audio.store import Store
from stages.contracts.errors import run
from stages.contracts.parameters import load
from stages.contracts.splits import AUDIO, read_audio
from stages.training import checkpoints
from stages.training.device import prepare
from stages.training.processes import is_first, together
from stages.training.tracking import Tracker, live, write_nothing

METRICS = Path("metrics/audio")


def main() -> None:
    """Train on the train set, choose the epoch on dev, write models/audio and metrics/audio."""
    settings, train, runtime = load("model", "train", "runtime")
    if together("stages.finetune_audio", runtime):
        return
    device = prepare(runtime, train.seed)
    store, split = Store(), read_audio()
    if split.empty:
        if is_first():
            print("finetune_audio: data/splits/audio.csv has no utterances; nothing to train")
            write_nothing(METRICS)
            saving.save_none()
        return
    sets = [split[split["split"] == name] for name in ("train", "dev")]
    kept = checkpoints.kept("finetune_audio", [settings, train], runtime, [AUDIO, *store.files])
    with kept as folder, live(METRICS) as tracked:
        tracker = Tracker("finetune_audio", tracked, runtime.tensorboard)
        trained = fit(*sets, settings, train, store, device, tracker, folder)
        if is_first():
            saving.save(trained)


if __name__ == "__main__":
    run(main)
