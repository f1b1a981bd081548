"""Training, from top to bottom: an ensemble, a network on dev-selected epochs, a network on all the data.

    train_ensemble -> fit      one network on the train set; the best epoch on dev is kept
                   -> refit    one network on train and dev together, in its place

Both run Hugging Face's Trainer, :mod:`emopipe.training.trainer`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from transformers import PrinterCallback, TrainerCallback, set_seed

from emopipe.io import ranks
from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write
from emopipe.training import checkpoints
from emopipe.training.averaging import WeightAverage
from emopipe.training.broadcast import share
from emopipe.training.data import Collate, ExampleDataset, Loss, predict
from emopipe.training.devices import barrier, side_by_side
from emopipe.training.networks import Ensemble, Network, ParameterGroup, count_trainable_parameters
from emopipe.training.optimiser import adamw, schedule
from emopipe.training.parameters import Optimisation
from emopipe.training.sharding import full
from emopipe.training.tracking import Tracker, best_epoch, dev_scores
from emopipe.training.trainer import (
    Augment,
    BranchTrainer,
    CheckpointCallback,
    OneDevice,
    StopAfterEpochs,
    best_of,
    exhausted,
    scores_of,
)

WEIGHTS = "model.safetensors"

Score = Callable[[np.ndarray, np.ndarray], dict[str, float]]  # (outputs, targets) -> scores by name


class TrainingData(NamedTuple):
    """Examples to train on, and what depends on them."""

    dataset: ExampleDataset
    build: Callable[[], Network]  # untrained; random weights are drawn anew every time
    loss: Loss
    groups: Sequence[int] | None = None  # of the examples: an epoch draws as many of each; None: every example once


@dataclass(frozen=True)
class Recipe:
    """How the networks of a branch are trained, whatever the data."""

    collate: Collate
    parameter_groups: Callable[[Any], Sequence[ParameterGroup]]  # of a network: learning rates of its parts
    score: Score  # dev scores
    metric: str | None  # the one of them that selects the epoch; None: the last one is kept
    settings: Optimisation
    augment: Augment | None = None  # what a training batch goes through


@dataclass(frozen=True)
class Run:
    """Where a training runs, and what it leaves behind."""

    device: torch.device
    tracker: Tracker  # keeps the history; of an ensemble, that of the first member
    checkpoints: Path  # folder for them; where it holds some, the training goes on from the last one
    processes: int = 1  # that train members, or folds, side by side


class EnsembleResult(NamedTuple):
    """A trained ensemble, and how it came about."""

    model: Ensemble
    epochs: list[int]  # whose weights the members have, from 1: the best on dev, or the last of a refit
    without_dev: Ensemble  # of the networks that did not train on dev
    dev_outputs: np.ndarray  # their mean outputs for it, [utterances, outputs]


def train_ensemble(
    recipe: Recipe,
    train: Sequence[TrainingData],
    dev: ExampleDataset,
    train_and_dev: Sequence[TrainingData] | None,
    run: Run,
    *,
    all_without_dev: bool = False,
) -> EnsembleResult:
    """Train networks apart, from the seed of the settings, the next one, and so on.

    With ``refit: all_epochs`` the length of a training is given and dev selects nothing: it serves the curves and the
    temperature alone, for which the first member is trained without it.

    Args:
        recipe: of the branch
        train: what each member is trained on
        dev: selects the epoch of each; never the test set
        train_and_dev: both together, on which each is trained anew; None: not so
        run: of the ensemble
        all_without_dev: train every member without dev too, whatever the refit
    """
    members = side_by_side(
        [
            partial(
                _member,
                recipe,
                number,
                data,
                dev,
                train_and_dev and train_and_dev[number],
                run,
                without_dev=all_without_dev or number == 0 or recipe.settings.refit != "all_epochs",
            )
            for number, data in enumerate(train)
        ],
        run.processes,
    )
    ensemble = Ensemble([member.model for member in members])
    if ranks.is_first():
        parameters = count_trainable_parameters(ensemble)
        print(f"{run.tracker.name}: {parameters:,} trained parameters, in {len(members)} member(s)")
    selected = [member.without_dev for member in members if member.without_dev is not None]
    outputs = np.mean([own.dev_outputs for own in selected], axis=0)
    without_dev = Ensemble([own.model for own in selected])
    return EnsembleResult(ensemble, [member.epoch for member in members], without_dev, outputs)


class _WithoutDev(NamedTuple):
    model: Network
    dev_outputs: np.ndarray


class _Member(NamedTuple):
    model: Network
    epoch: int  # whose weights it has
    without_dev: _WithoutDev | None  # what was trained without dev, where there was such a training


def _member(
    recipe: Recipe,
    number: int,
    train: TrainingData,
    dev: ExampleDataset,
    train_and_dev: TrainingData | None,
    run: Run,
    *,
    without_dev: bool,
) -> _Member:
    seed = (recipe.settings.seed + number) % 2**32  # after the last seed there is comes the first
    recipe = replace(recipe, settings=recipe.settings.model_copy(update={"seed": seed}))
    tracker = run.tracker if number == 0 else Tracker(f"{run.tracker.name}: member {number + 1}")
    run = replace(run, tracker=tracker, checkpoints=run.checkpoints / f"member-{number + 1}")
    settings, model, epoch, found = recipe.settings, None, None, None
    if without_dev:
        own = replace(recipe, metric=None) if settings.refit == "all_epochs" else recipe
        model, epoch = fit(own, train, dev, run)
        found = _WithoutDev(model, predict(model, dev, recipe.collate, settings.batch_size, run.device))
    if train_and_dev is not None:
        model, epoch = refit(recipe, train_and_dev, epoch, run)
    return _Member(model, epoch, found)


def fit(recipe: Recipe, train: TrainingData, dev: ExampleDataset, run: Run) -> tuple[Network, int]:
    """Train a network and give it the weights of the epoch that was best on ``dev``.

    Returns:
        the network and its epoch, counted from 1
    """
    model, settings, tracker = _untrained(recipe, train), recipe.settings, run.tracker
    trainer = _trainer(
        recipe, model, train, run, [tracker],
        eval_dataset=dev,
        compute_metrics=partial(scores_of, train.loss, recipe.score, run.device),
    )  # fmt: skip
    trainer.add_callback(CheckpointCallback(tracker, recipe.metric, settings.patience))
    completed = checkpoints.completed(run.checkpoints)
    if completed:
        tracker.restore(checkpoints.history(completed[-1]))
        trainer.average.load(completed[-1])
    if len(tracker.history) < settings.epochs and not exhausted(tracker.history, recipe.metric, settings.patience):
        if completed:
            tracker.print(f"goes on after epoch {len(tracker.history)}, where it was stopped")
        _train(trainer, completed[-1] if completed else None)
        model = _unsharded(trainer, recipe, train)
    share(run.checkpoints)
    best = best_epoch(tracker.history, recipe.metric)
    chosen = best_of(run.checkpoints, tracker.history, recipe.metric)
    load_model(model.to(run.device), str(chosen / WEIGHTS))
    trainer.average.load(chosen)
    trainer.average.copy_to(model)
    tracker.summarise(best + 1, dev_scores(tracker.history[best]))
    return model, best + 1


def refit(recipe: Recipe, data: TrainingData, best: int | None, run: Run) -> tuple[Network, int]:
    """Train a network on train and dev together, with the learning rates that :func:`fit` has in its epochs.

    There are no checkpoints on the way, but its end is kept: a run that is killed during it begins it again, from the
    same seed.

    Args:
        recipe: of the branch
        data: all there is to train on; nothing is left to select an epoch by
        best: epoch on dev, from 1, at which it ends where ``refit`` is ``best_epoch``; None: all of them
        run: of the member

    Returns:
        the network and its last epoch, counted from 1
    """
    epochs = recipe.settings.epochs if recipe.settings.refit == "all_epochs" else best
    model, done = _untrained(recipe, data), run.checkpoints / "refitted" / WEIGHTS
    if done.exists():
        load_model(model, str(done))
        return model, epochs
    if ranks.is_first():
        print(f"{run.tracker.name}: {epochs} epochs on {len(data.dataset)} examples, train and dev together")
    trainer = _trainer(recipe, model, data, run, [StopAfterEpochs(epochs)])
    _train(trainer)
    trainer.average.copy_to(trainer.model)
    model = _unsharded(trainer, recipe, data)
    barrier()  # nobody is to find it yet
    if ranks.is_first():
        with atomic_write(done) as part:
            save_model(model, str(part))
    return model, epochs


def _untrained(recipe: Recipe, data: TrainingData) -> Network:
    set_seed(recipe.settings.seed)
    return data.build()


def _trainer(
    recipe: Recipe, model: Network, data: TrainingData, run: Run, callbacks: list[TrainerCallback], **others: Any
) -> BranchTrainer:
    settings = recipe.settings
    share, rest = divmod(settings.batch_size, ranks.world_size())
    if rest:
        raise UserError(f"batch_size: {settings.batch_size} cannot be shared by {ranks.world_size()} processes")
    steps = -(-len(data.dataset) // settings.batch_size)  # in an epoch
    model.micro_batch = settings.micro_batch
    arguments = OneDevice(
        output_dir=str(run.checkpoints),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=share,
        per_device_eval_batch_size=2 * share,
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        eval_strategy="epoch" if "eval_dataset" in others else "no",
        logging_strategy="epoch",
        save_strategy="epoch" if "eval_dataset" in others else "no",
        bf16=settings.precision == "bfloat16",  # of the forward pass: weights, losses and gradients are in float32
        use_cpu=run.device.type == "cpu",
        dataloader_pin_memory=run.device.type != "cpu",
        ddp_find_unused_parameters=False,  # a network uses all of its parameters
        label_names=["labels"],
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,  # the tracker prints every epoch
    )
    trainer = BranchTrainer(
        data.loss,
        recipe.augment,
        WeightAverage(settings.weight_average, steps * settings.epochs),
        lambda: adamw(recipe.parameter_groups(model), settings),
        partial(schedule, settings=settings, steps=steps),
        data.groups,
        model=model,
        args=arguments,
        train_dataset=data.dataset,
        data_collator=recipe.collate,
        callbacks=callbacks,
        **others,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _train(trainer: BranchTrainer, checkpoint: Path | None = None) -> None:
    trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)  # else it went on predicting in bfloat16


def _unsharded(trainer: BranchTrainer, recipe: Recipe, data: TrainingData) -> Network:
    """Return the trained network with all its weights in this process."""
    if not trainer.is_fsdp_enabled:
        return trainer.model
    model = _untrained(recipe, data)
    model.load_state_dict({name: full(value) for name, value in trainer.model.state_dict().items()})
    return model
