"""Train the audio model on the encoded store."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from transformers import set_seed

from stages.audio import saving
from stages.audio.batches import Collate, items
from stages.audio.mixup import mixed
from stages.audio.model import AudioModel
from stages.audio.store import Store
from stages.audio.tasks import learn
from stages.contracts.errors import run
from stages.contracts.parameters import load
from stages.contracts.splits import AUDIO, read_audio
from stages.training import checkpoints
from stages.training.device import prepare
from stages.training.fitting import fit, predict, refit
from stages.training.processes import is_first, together
from stages.training.tracking import Tracker, live, write_nothing
from stages.training.trainer import Items

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
    rows = {name: split[split["split"] == name] for name in ("train", "dev")}
    task = learn(settings, rows["train"])
    targets = {name: task.targets(own) for name, own in rows.items()}
    sets = {name: items(own["utterance"], targets[name], store) for name, own in rows.items()}
    collate = Collate(store, settings)
    augment = partial(mixed, alpha=train.mixup) if train.mixup else None

    def build(learnt: Items) -> AudioModel:
        set_seed(train.seed)
        model = saving.build(settings, store.encoding, task.outputs)
        model.fit_layers(store.statistics(example.utterance) for example in learnt.examples)
        return model

    model = build(sets["train"])
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if is_first():
        print(f"finetune_audio: {len(sets['train'])} utterances to train on, {parameters:,} trainable parameters")
    with checkpoints.kept("finetune_audio", [settings, train], runtime, [AUDIO, *store.files]) as folder:
        with live(METRICS) as tracked:
            tracker = Tracker("finetune_audio", tracked, runtime.tensorboard)
            best = fit(
                model,
                model.tiers(train.lr_scale),
                sets["train"],
                sets["dev"],
                collate,
                task.objective(train, targets["train"]),
                task.scores,
                task.goal,
                train,
                device,
                tracker,
                folder,
                augment,
            )
        temperature = task.temperature(predict(model, sets["dev"], collate, train.batch_size, device), targets["dev"])
        if train.refit:
            both = sets["train"] + sets["dev"]
            if is_first():
                print(f"finetune_audio: {best} epochs on {len(both)} utterances, train and dev together")
            model = build(both)
            objective = task.objective(train, np.concatenate(list(targets.values())))
            refit(model, model.tiers(train.lr_scale), both, collate, objective, train, best, device, folder, augment)
        if is_first():
            trained = saving.Trained(model, settings, task, store.encoding, temperature)
            saving.save(trained, {"train": train.model_dump(), "epoch": best, "trainable_parameters": parameters})


if __name__ == "__main__":
    run(main)
