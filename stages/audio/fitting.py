"""Training an audio model on the encoded store, and predicting with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn
from transformers import set_seed

from stages.audio import saving
from stages.audio.batches import Collate, items
from stages.audio.mixup import mixed
from stages.audio.model import AudioModel
from stages.audio.saving import Trained
from stages.audio.store import Store
from stages.audio.tasks import learn
from stages.contracts.parameters import Model, Train
from stages.training import fitting
from stages.training.processes import is_first
from stages.training.tracking import Tracker
from stages.training.trainer import Items

BATCH = 32  # utterances; no prediction depends on it


class Fitted(NamedTuple):
    """A trained model and how it came about."""

    trained: Trained
    epoch: int  # whose weights these are, from 1: the best on dev, or the last of a refit
    parameters: int  # number of those that learnt


def fit(
    train: pd.DataFrame,
    dev: pd.DataFrame,
    settings: Model,
    optimisation: Train,
    store: Store,
    device: torch.device,
    tracker: Tracker,
    checkpoints: Path,
) -> Fitted:
    """Train a model on the pretrained blocks that the store leaves to training; the best epoch on ``dev`` is kept.

    With ``train.refit`` another one is then trained on both sets, for as many epochs or for ``all``. The result depends
    on these rows and settings alone, not on what was trained before.

    Args:
        train: rows of the audio split
        dev: likewise; never the test set
        settings: the ``model`` group
        optimisation: the ``train`` group
        store: what the frozen part of the backbone said of the rows
        device: where to train
        tracker: keeps the history
        checkpoints: folder for them; where it holds some, the training goes on from the last one

    Raises:
        UserError: if the backbone's weights are no longer those that made the store
    """
    rows = {"train": train, "dev": dev}
    task = learn(settings, train)
    targets = {name: task.targets(own) for name, own in rows.items()}
    sets = {name: items(own["utterance"], targets[name], store) for name, own in rows.items()}
    collate = Collate(store, settings)
    augment = partial(mixed, alpha=optimisation.mixup) if optimisation.mixup else None

    def build(learnt: Items) -> AudioModel:
        set_seed(optimisation.seed)
        model = saving.build(settings, store.encoding, task.outputs)
        model.fit_layers(store.statistics(example.utterance) for example in learnt.examples)
        return model

    model = build(sets["train"])
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if is_first():
        print(f"{tracker.name}: {len(sets['train'])} utterances to train on, {parameters:,} trainable parameters")
    epoch = fitting.fit(
        model,
        model.tiers(optimisation.lr_scale),
        sets["train"],
        sets["dev"],
        collate,
        task.objective(optimisation, targets["train"]),
        task.scores,
        task.goal,
        optimisation,
        device,
        tracker,
        checkpoints,
        augment,
    )
    said = fitting.predict(model, sets["dev"], collate, optimisation.batch_size, device)
    temperature = task.temperature(said, targets["dev"])
    if optimisation.refit:
        both = sets["train"] + sets["dev"]
        model = build(both)
        epoch = fitting.refit(
            model,
            model.tiers(optimisation.lr_scale),
            both,
            collate,
            task.objective(optimisation, np.concatenate(list(targets.values()))),
            optimisation,
            epoch,
            device,
            tracker.name,
            checkpoints,
            augment,
        )
    return Fitted(Trained(model, settings, task, store.encoding, temperature), epoch, parameters)


def predict(
    model: nn.Module, settings: Model, utterances: Sequence[str], store: Store, device: torch.device
) -> np.ndarray:
    """Return the outputs of a model, or of a part of one, for every utterance, [utterances, ...].

    Args:
        model: takes a batch of the store
        settings: the ``model`` group it was built with
        utterances: of the store
        store: what the frozen part of the backbone said of them
        device: where to predict
    """
    examples = items(utterances, np.zeros(len(utterances)), store)  # there is nothing to learn
    return fitting.predict(model, examples, Collate(store, settings), BATCH, device).astype(np.float64)
