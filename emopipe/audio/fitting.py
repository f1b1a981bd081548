"""Training an audio model on the encoded store."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from emopipe.audio import saving
from emopipe.audio.batches import Collate, items
from emopipe.audio.layers import layer_pooling
from emopipe.audio.mixup import mixed
from emopipe.audio.model import AudioModel
from emopipe.audio.parameters import Model, Train
from emopipe.audio.saving import Trained
from emopipe.audio.tasks import learn
from emopipe.encoding.store import Store
from emopipe.training import members
from emopipe.training.fitting import Training, TrainSet
from emopipe.training.processes import is_first
from emopipe.training.tracking import Tracker


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
    ``model.ensemble_size`` is trained in this way, from a seed of its own. The result depends on these rows and
    settings alone, not on what was trained before.

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
        mix = layer_pooling(settings, store.layers, store.dim)
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
        partial(AudioModel.parameter_groups, scale=optimisation.lr_scale),
        task.scores,
        task.goal,
        optimisation,
        device,
        partial(mixed, alpha=optimisation.mixup) if optimisation.mixup else None,
    )
    asked = items(dev["utterance"], task.targets(dev), store)
    both = learnt_from(pd.concat([train, dev])) if optimisation.refit != "none" else None
    found = members.fit(how, settings.ensemble_size, learnt_from(train), asked, both, tracker, checkpoints)
    temperature = task.temperature(found.said, task.targets(dev))
    return Trained(found.model, settings, optimisation, task, store.encoding, temperature, found.epochs)
