"""Training an audio model on the encoded store."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from stages.audio import saving
from stages.audio.batches import Collate, items
from stages.audio.layers import layer_mix
from stages.audio.mixup import mixed
from stages.audio.model import AudioModel
from stages.audio.saving import Trained
from stages.audio.store import Store
from stages.audio.tasks import learn
from stages.contracts.parameters import Model, Train
from stages.training import members
from stages.training.fitting import Training, TrainSet
from stages.training.processes import is_first
from stages.training.tracking import Tracker


def fit(
    train: pd.DataFrame,
    dev: pd.DataFrame,
    settings: Model,
    optimisation: Train,
    store: Store,
    device: torch.device,
    tracker: Tracker,
    checkpoints: Path,
) -> Trained:
    """Train a model on the pretrained blocks that the store leaves to training; the best epoch on ``dev`` is kept.

    Training utterances are heard at all speeds of the store, those of the dev set as they were spoken.

    With ``train.refit`` another one is then trained on both sets, for as many epochs or for ``all``. Each of
    ``model.members`` is trained in this way, from a seed of its own. The result depends on these rows and settings
    alone, not on what was trained before.

    Args:
        train: rows of the audio split
        dev: likewise; never the test set
        settings: the ``model`` group
        optimisation: the ``train`` group
        store: what the frozen part of the backbone said of the rows
        device: where to train
        tracker: keeps the history of the first member
        checkpoints: folder for them; where it holds some, the training goes on from the last one

    Raises:
        UserError: if the backbone's weights are no longer those that made the store
    """
    task, suffix = learn(settings, train), saving.trainable_blocks(settings, store.encoding)

    def learnt_from(rows: pd.DataFrame) -> TrainSet:
        mix = layer_mix(settings, store.layers, store.dim)
        if mix is not None:
            mix.fit(store.statistics(utterance) for utterance in rows["utterance"])

        def build() -> AudioModel:
            return AudioModel(settings, deepcopy(suffix), deepcopy(mix), store.dim, task.outputs)

        targets = task.targets(rows)
        examples = items(rows["utterance"], targets, store, store.speeds)
        return TrainSet(examples, build, task.objective(optimisation, targets))

    if is_first():
        print(f"{tracker.name}: {len(train)} utterances to train on, at {len(store.speeds)} speed(s)")
    how = Training(
        Collate(store, settings),
        partial(AudioModel.tiers, scale=optimisation.lr_scale),
        task.scores,
        task.goal,
        optimisation,
        device,
        partial(mixed, alpha=optimisation.mixup) if optimisation.mixup else None,
    )
    asked = items(dev["utterance"], task.targets(dev), store)
    both = learnt_from(pd.concat([train, dev])) if optimisation.refit else None
    found = members.fit(how, settings.members, learnt_from(train), asked, both, tracker, checkpoints)
    temperature = task.temperature(found.said, task.targets(dev))
    return Trained(found.model, settings, optimisation, task, store.encoding, temperature, found.epochs)
