"""Train the audio model on the encoded store."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from stages.audio import saving
from stages.audio.batches import Collate, items
from stages.audio.losses import CrossEntropy, class_weights
from stages.audio.store import Store
from stages.contracts.errors import run
from stages.contracts.parameters import load
from stages.contracts.splits import read_audio
from stages.scoring.classification import classification
from stages.training.device import prepare
from stages.training.fitting import Goal, fit
from stages.training.tracking import Tracker, live, write_nothing

METRICS = Path("metrics/audio")


def main() -> None:
    """Train on the train set, choose the epoch on dev, write models/audio and metrics/audio."""
    settings, train, runtime = load("model", "train", "runtime")
    device = prepare(runtime, train.seed)
    store, split = Store(), read_audio()
    if split.empty:
        print("finetune_audio: data/splits/audio.csv has no utterances; nothing to train")
        write_nothing(METRICS)
        saving.save_none()
        return
    labels = sorted(split["emotion"].unique())
    sets = {name: items(split[split["split"] == name], labels, store) for name in ("train", "dev")}

    model = saving.build(settings, store.encoding, labels)
    model.fit_layers(store.statistics(example.utterance) for example in sets["train"].examples)
    counts = np.bincount([example.label for example in sets["train"].examples], minlength=len(labels))
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    print(f"finetune_audio: {len(sets['train'])} utterances to train on, {parameters:,} trainable parameters")
    with live(METRICS) as tracked:
        best = fit(
            model,
            model.tiers(train.lr_scale),
            sets["train"],
            sets["dev"],
            Collate(store, settings),
            CrossEntropy(class_weights(counts, train.class_weights)),
            partial(_scores, labels),
            Goal("uar", greater_is_better=True),
            train,
            device,
            Tracker("finetune_audio", tracked),
            Path(".checkpoints/finetune_audio"),
        )
    trained = saving.Trained(model, settings, labels, store.encoding)
    saving.save(trained, {"train": train.model_dump(), "epoch": best, "trainable_parameters": parameters})


def _scores(labels: list[str], outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    names = np.array(labels)
    return classification(names[targets], names[outputs.argmax(1)])


if __name__ == "__main__":
    run(main)
