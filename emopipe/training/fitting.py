"""One training run, of either branch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from transformers import PrinterCallback, TrainerCallback, TrainingArguments, set_seed

from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write
from emopipe.training import checkpoints, processes
from emopipe.training.averaging import Average
from emopipe.training.examples import Batch, ExampleDataset, Objective
from emopipe.training.goal import Goal
from emopipe.training.network import Network
from emopipe.training.optimiser import ParameterGroup, adamw, schedule
from emopipe.training.parameters import Optimisation
from emopipe.training.tracking import Tracker
from emopipe.training.trainer import Augment, BranchTrainer, Keeper, Stop, best_of, exhausted, scores_of

WEIGHTS = "model.safetensors"

Score = Callable[[np.ndarray, np.ndarray], dict[str, float]]  # (outputs, targets) -> scores by name


class TrainSet(NamedTuple):
    """What is learnt from, and what depends on it."""

    items: ExampleDataset
    build: Callable[[], Network]  # untrained; what it draws at random is drawn anew every time
    objective: Objective  # loss of a batch


@dataclass(frozen=True)
class Training:
    """How the networks of a branch are trained, whatever they learn from."""

    collate: Callable[[list[Any]], Batch]  # makes a batch of examples; ``labels`` are the targets
    parameter_groups: Callable[[Any], Sequence[ParameterGroup]]  # of a network: the parameters that learn, and how fast
    score: Score  # dev scores
    goal: Goal  # which of them decides; of equals the earliest epoch wins
    settings: Optimisation
    device: torch.device
    augment: Augment | None = None  # what is done to a batch before it is learnt from


def fit(how: Training, train: TrainSet, dev: ExampleDataset, tracker: Tracker, folder: Path) -> tuple[Network, int]:
    """Train a network and give it the weights of the epoch that was best on ``dev``.

    Args:
        how: settings of the branch
        train: what is learnt from
        dev: what picks the epoch; never the test set
        tracker: keeps the history
        folder: for checkpoints; where it holds some, the training goes on from the last one

    Returns:
        the network and its epoch, counted from 1
    """
    model, settings = _untrained(how, train), how.settings
    trainer = _trainer(
        how, model, train, folder, [tracker],
        eval_dataset=dev,
        compute_metrics=partial(scores_of, train.objective, how.score, how.device),
    )  # fmt: skip
    trainer.add_callback(Keeper(tracker, how.goal, settings.patience))
    whole = checkpoints.found(folder)
    if whole:
        tracker.restore(checkpoints.history(whole[-1]))
        trainer.average.restore(whole[-1], model)
    if len(tracker.history) < settings.epochs and not exhausted(tracker.history, how.goal, settings.patience):
        _train(trainer, whole[-1] if whole else None)
    processes.barrier()
    best = how.goal.best(tracker.history)
    chosen = best_of(folder, tracker.history, how.goal)
    load_model(model.to(how.device), str(chosen / WEIGHTS))
    trainer.average.restore(chosen, model)
    trainer.average.give(model)
    tracker.summarise(best)
    return model, best + 1


def refit(how: Training, both: TrainSet, best: int, name: str, folder: Path) -> tuple[Network, int]:
    """Train a network on train and dev together, with the learning rates that :func:`fit` has in its epochs.

    Nothing is kept on the way, but its end is: a run that is killed during it begins it again, from the same seed.

    Args:
        how: settings of the branch; ``refit`` says how long: ``all`` epochs, or up to the best one
        both: all that is learnt from; nothing is left to choose by
        best: the epoch that :func:`fit` returned
        name: of the training, for its line of output
        folder: for the weights at its end; where it holds them, they are taken

    Returns:
        the network and its last epoch, counted from 1
    """
    epochs = how.settings.epochs if how.settings.refit == "all_epochs" else best
    model, done = _untrained(how, both), folder / "refitted" / WEIGHTS
    if done.exists():
        load_model(model, str(done))
        return model, epochs
    if processes.is_first():
        print(f"{name}: {epochs} epochs on {len(both.items)} utterances, train and dev together")
    trainer = _trainer(how, model, both, folder, [Stop(epochs)])
    _train(trainer)
    trainer.average.give(model)
    processes.barrier()  # nobody is to find it yet
    if processes.is_first():
        with atomic_write(done) as part:
            save_model(model, str(part))
    return model, epochs


def _untrained(how: Training, learnt: TrainSet) -> Network:
    set_seed(how.settings.seed)
    return learnt.build()


def _trainer(
    how: Training, model: Network, train: TrainSet, folder: Path, callbacks: list[TrainerCallback], **others: Any
) -> BranchTrainer:
    settings = how.settings
    share, rest = divmod(settings.batch_size, processes.count())
    if rest:
        raise UserError(f"batch_size: {settings.batch_size} cannot be shared by {processes.count()} processes")
    optimiser, steps = adamw(how.parameter_groups(model), settings), -(-len(train.items) // settings.batch_size)
    model.micro_batch = settings.micro_batch
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=share,
        per_device_eval_batch_size=2 * share,
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        eval_strategy="epoch" if "eval_dataset" in others else "no",
        logging_strategy="epoch",
        save_strategy="epoch" if "eval_dataset" in others else "no",
        bf16=settings.precision == "bfloat16",  # of the forward pass: weights, losses and gradients are in float32
        use_cpu=how.device.type == "cpu",
        dataloader_pin_memory=how.device.type != "cpu",
        ddp_find_unused_parameters=False,  # what a network has, it uses
        label_names=["labels"],
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,  # the tracker tells of every epoch
    )
    trainer = BranchTrainer(
        train.objective,
        how.augment,
        Average(settings.weight_average, steps * settings.epochs),
        model=model,
        args=arguments,
        train_dataset=train.items,
        data_collator=how.collate,
        optimizers=(optimiser, schedule(optimiser, settings, steps)),
        callbacks=callbacks,
        **others,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _train(trainer: BranchTrainer, checkpoint: Path | None = None) -> None:
    trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)  # else it went on predicting in bfloat16
