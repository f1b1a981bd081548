"""Training an audio model on the encoded store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import softmax

from emopipe.audio.batches import Collate, examples
from emopipe.audio.layers import layer_pooling
from emopipe.audio.model import AudioModel, Choice, Trained, of_members, trainable_blocks, tunable
from emopipe.audio.parameters import Model, Train
from emopipe.audio.tasks import task_of
from emopipe.audio.tuning import DevSet, tune, tuning_recipe
from emopipe.encoding.store import Store
from emopipe.io.ranks import is_first
from emopipe.schemas.dev_answers import DevAnswers
from emopipe.scoring.bootstrap import clusters_of
from emopipe.training.devices import single_thread
from emopipe.training.fitting import Recipe, Run, TrainingData, train_ensemble
from emopipe.training.mixup import mixed
from emopipe.training.tracking import Tracker

CHUNK = 256  # utterances whose statistics are in memory at a time


def fit(
    train: pd.DataFrame, dev: pd.DataFrame, settings: Model, optimisation: Train, store: Store, run: Run
) -> Trained:
    """Train a model on the encodings of a store; the best epoch on ``dev`` is kept.

    Training utterances are examples under all conditions of the store, those of the dev set as they were spoken.

    Where ``train.refit`` asks for it, the model is then trained anew on both sets. Each of ``model.ensemble_size``
    members is trained in this way, from a seed of its own. The result depends on these rows and settings alone, not on
    what was trained before.

    With ``model.features: tuned_layers`` this gives heads on the frozen layers. The blocks are trained under all of
    them then, and where dev prefers no share of that change, or has one speaker alone, the frozen model is returned.

    Args:
        train: rows of the audio split
        dev: likewise; never the test set
        settings: the ``model`` group
        optimisation: the ``train`` group
        store: of the rows' encodings
        run: of the training

    Raises:
        UserError: if the backbone's weights are no longer those that made the store, or no block is left to training
            where some are to be tuned
    """
    task, blocks = task_of(settings, train), trainable_blocks(settings, store.provenance)
    clusters = clusters_of(dev["speaker"], len(dev))
    shares, tuning, choice = optimisation.interpolation, settings.features == "tuned_layers", None
    if tuning and not clusters.any() and not isinstance(shares, float):
        run.tracker.print(
            "one dev speaker alone cannot tell whether a fine-tuning is better, so there is none; give dev more "
            "speakers, or say by train.interpolation=1 that the whole change is kept in any case"
        )
        tuning, choice = False, Choice(0.0, {})
    member = of_members(settings)

    def training_data(rows: pd.DataFrame) -> TrainingData:
        layers = layer_pooling(member, store.layers, store.dim)
        if layers is not None:
            layers.fit(_chunks(store, rows))

        def build() -> AudioModel:
            own = deepcopy(blocks) if member.features == settings.features else None  # else they come later
            return AudioModel(member, own, deepcopy(layers), store.dim, task.outputs)

        targets = task.targets(rows)
        dataset = examples(rows["utterance"], targets, store, store.conditions)
        corpora = None
        if optimisation.sampling == "corpus":
            corpora = np.tile(pd.factorize(rows["corpus"])[0], len(store.conditions))
        return TrainingData(dataset, build, task.loss(optimisation, targets), corpora)

    if is_first():
        print(f"{run.tracker.name}: {len(train)} training utterances, under {len(store.conditions)} condition(s)")
    recipe = Recipe(
        Collate(store, member),
        partial(AudioModel.parameter_groups, scale=optimisation.lr_scale),
        task.scores,
        task.metric,
        optimisation,
        partial(mixed, alpha=optimisation.mixup) if optimisation.mixup else None,
    )
    targets = task.targets(dev)
    dev_set = examples(dev["utterance"], targets, store)
    members, on_train = settings.ensemble_size, training_data(train)
    on_both = None if optimisation.refit == "none" else training_data(pd.concat([train, dev]))
    own = replace(run, tracker=Tracker(f"{run.tracker.name}: heads")) if tuning else run
    with single_thread() if member.features == "frozen" else nullcontext():  # a head is too small for several
        found = train_ensemble(
            recipe, [on_train] * members, dev_set, on_both and [on_both] * members, own, all_without_dev=tuning
        )
    model, outputs = found.model, found.dev_outputs
    if tuning:
        start = partial(
            tunable,
            blocks=blocks,
            tuning=optimisation.tuning,
            family=store.provenance["backbone"]["family"],
        )
        recipe = tuning_recipe(recipe, Collate(store, settings), optimisation)
        judge = DevSet(dev_set, task.losses, task.metric, clusters)
        model, choice, outputs = tune(found, start, recipe, on_train, judge, on_both, shares, run)
    temperature = task.temperature(outputs, targets)
    answers = None if temperature is None else _answers(outputs, temperature, targets, dev)
    if choice is not None and not choice.share:
        settings = member
    own = optimisation.model_dump()
    return Trained(model, settings, own, task, store.provenance, temperature, found.epochs, answers, choice)


def _answers(outputs: np.ndarray, temperature: float, targets: np.ndarray, dev: pd.DataFrame) -> DevAnswers:
    speakers, _ = pd.factorize(dev["speaker"].where(dev["speaker"] != ""))  # -1: unknown
    return DevAnswers(softmax(outputs.astype(np.float64) / temperature, axis=1), targets, speakers.astype(np.int64))


def _chunks(store: Store, rows: pd.DataFrame) -> Iterator[np.ndarray]:
    numbers = store.rows(rows["utterance"])
    return (store.statistics(numbers[start : start + CHUNK]) for start in range(0, len(numbers), CHUNK))
