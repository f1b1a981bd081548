"""Training an audio model on the encoded store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from copy import deepcopy
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import softmax

from emopipe.audio.batches import Collate, examples
from emopipe.audio.layers import layer_pooling
from emopipe.audio.model import AudioModel, Trained, trainable_blocks
from emopipe.audio.parameters import Model, Train
from emopipe.audio.tasks import task_of
from emopipe.encoding.store import Store
from emopipe.io.ranks import is_first
from emopipe.schemas.dev_answers import DevAnswers
from emopipe.training.devices import single_thread
from emopipe.training.fitting import Recipe, Run, TrainingData, train_ensemble
from emopipe.training.mixup import mixed

CHUNK = 256  # utterances whose statistics are in memory at a time


def fit(
    train: pd.DataFrame, dev: pd.DataFrame, settings: Model, optimisation: Train, store: Store, run: Run
) -> Trained:
    """Train a model on the encodings of a store; the best epoch on ``dev`` is kept.

    Training utterances are examples under all conditions of the store, those of the dev set as they were spoken.

    Where ``train.refit`` asks for it, the model is then trained anew on both sets. Each of ``model.ensemble_size``
    members is trained in this way, from a seed of its own. The result depends on these rows and settings alone, not on
    what was trained before.

    Args:
        train: rows of the audio split
        dev: likewise; never the test set
        settings: the ``model`` group
        optimisation: the ``train`` group
        store: of the rows' encodings
        run: of the training

    Raises:
        UserError: if the backbone's weights are no longer those that made the store
    """
    task, blocks = task_of(settings, train), trainable_blocks(settings, store.provenance)

    def training_data(rows: pd.DataFrame) -> TrainingData:
        layers = layer_pooling(settings, store.layers, store.dim)
        if layers is not None:
            layers.fit(_chunks(store, rows))

        def build() -> AudioModel:
            return AudioModel(settings, deepcopy(blocks), deepcopy(layers), store.dim, task.outputs)

        targets = task.targets(rows)
        dataset = examples(rows["utterance"], targets, store, store.conditions)
        corpora = None
        if optimisation.sampling == "corpus":
            corpora = np.tile(pd.factorize(rows["corpus"])[0], len(store.conditions))
        return TrainingData(dataset, build, task.loss(optimisation, targets), corpora)

    if is_first():
        print(f"{run.tracker.name}: {len(train)} training utterances, under {len(store.conditions)} condition(s)")
    recipe = Recipe(
        Collate(store, settings),
        partial(AudioModel.parameter_groups, scale=optimisation.lr_scale),
        task.scores,
        task.metric,
        optimisation,
        partial(mixed, alpha=optimisation.mixup) if optimisation.mixup else None,
    )
    targets = task.targets(dev)
    dev_set = examples(dev["utterance"], targets, store)
    members = settings.ensemble_size
    train_and_dev = None
    if optimisation.refit != "none":
        train_and_dev = [training_data(pd.concat([train, dev]))] * members
    with single_thread() if settings.features == "frozen" else nullcontext():  # a head is too small for several
        found = train_ensemble(recipe, [training_data(train)] * members, dev_set, train_and_dev, run)
    temperature = task.temperature(found.dev_outputs, targets)
    answers = None if temperature is None else _answers(found.dev_outputs, temperature, targets, dev)
    return Trained(found.model, settings, optimisation, task, store.provenance, temperature, found.epochs, answers)


def _answers(outputs: np.ndarray, temperature: float, targets: np.ndarray, dev: pd.DataFrame) -> DevAnswers:
    speakers, _ = pd.factorize(dev["speaker"].where(dev["speaker"] != ""))  # -1: unknown
    return DevAnswers(softmax(outputs.astype(np.float64) / temperature, axis=1), targets, speakers.astype(np.int64))


def _chunks(store: Store, rows: pd.DataFrame) -> Iterator[np.ndarray]:
    numbers = store.rows(rows["utterance"])
    return (store.statistics(numbers[start : start + CHUNK]) for start in range(0, len(numbers), CHUNK))
