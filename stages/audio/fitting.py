"""Training an audio model on the encoded store, and predicting with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
from stages.audio.model import AudioModel, Ensemble
from stages.audio.saving import Trained
from stages.audio.store import Store
from stages.audio.tasks import Task, learn
from stages.contracts.parameters import Model, Train
from stages.training import fitting
from stages.training.processes import is_first
from stages.training.tracking import Tracker
from stages.training.trainer import Augment, Items

BATCH = 32  # utterances; no prediction depends on it


class Fitted(NamedTuple):
    """A trained model and how it came about."""

    trained: Trained
    epochs: list[int]  # whose weights the members have, from 1: the best on dev, or the last of a refit
    parameters: int  # number of those that learnt, in all members


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
    task = learn(settings, train)
    trackers = [tracker, *(Tracker(f"{tracker.name}: member {n}") for n in range(2, settings.members + 1))]
    trainings = [
        _Training(
            settings,
            optimisation.model_copy(update={"seed": optimisation.seed + number}),
            store,
            task,
            device,
            own,
            checkpoints / f"member-{number + 1}",
        )
        for number, own in enumerate(trackers)
    ]
    if is_first():
        print(f"{tracker.name}: {len(train)} utterances to train on")
    found = [training.fit(train, dev) for training in trainings]
    temperature = task.temperature(np.mean([member.said for member in found], axis=0), task.targets(dev))
    if optimisation.refit:
        both = pd.concat([train, dev])
        found = [training.refit(both, member) for training, member in zip(trainings, found, strict=True)]
    model = Ensemble([member.model for member in found])
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if is_first():
        print(f"{tracker.name}: {parameters:,} trained parameters, in {settings.members} member(s)")
    trained = Trained(model, settings, task, store.encoding, temperature)
    return Fitted(trained, [member.epoch for member in found], parameters)


class _Member(NamedTuple):
    model: AudioModel
    epoch: int  # whose weights these are
    said: np.ndarray  # of the dev set before a refit, [utterances, outputs]


@dataclass(frozen=True, eq=False)
class _Training:
    """The training of one member."""

    settings: Model
    optimisation: Train  # with the member's seed
    store: Store
    task: Task
    device: torch.device
    tracker: Tracker
    checkpoints: Path

    def fit(self, train: pd.DataFrame, dev: pd.DataFrame) -> _Member:
        """Return the best epoch on ``dev``."""
        model, learnt, collate = self._build(train), self._items(train), Collate(self.store, self.settings)
        examples = self._items(dev)
        epoch = fitting.fit(
            model,
            model.tiers(self.optimisation.lr_scale),
            learnt,
            examples,
            collate,
            self.task.objective(self.optimisation, self.task.targets(train)),
            self.task.scores,
            self.task.goal,
            self.optimisation,
            self.device,
            self.tracker,
            self.checkpoints,
            self._augment,
        )
        said = fitting.predict(model, examples, collate, self.optimisation.batch_size, self.device)
        return _Member(model, epoch, said)

    def refit(self, both: pd.DataFrame, member: _Member) -> _Member:
        """Return a new one that learnt from all of these rows, for as long as ``train.refit`` says."""
        model = self._build(both)
        epoch = fitting.refit(
            model,
            model.tiers(self.optimisation.lr_scale),
            self._items(both),
            Collate(self.store, self.settings),
            self.task.objective(self.optimisation, self.task.targets(both)),
            self.optimisation,
            member.epoch,
            self.device,
            self.tracker.name,
            self.checkpoints,
            self._augment,
        )
        return member._replace(model=model, epoch=epoch)

    def _build(self, learnt: pd.DataFrame) -> AudioModel:
        set_seed(self.optimisation.seed)
        model = saving.build(self.settings, self.store.encoding, self.task.outputs)
        model.fit_layers(self.store.statistics(utterance) for utterance in learnt["utterance"])
        return model

    def _items(self, rows: pd.DataFrame) -> Items:
        return items(rows["utterance"], self.task.targets(rows), self.store)

    @property
    def _augment(self) -> Augment | None:
        return partial(mixed, alpha=self.optimisation.mixup) if self.optimisation.mixup else None


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
