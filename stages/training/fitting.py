"""One training run, of either branch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import PrinterCallback, TrainerCallback, TrainingArguments

from stages.contracts.errors import UserError
from stages.contracts.parameters import Optimisation
from stages.training import checkpoints, processes
from stages.training.network import Network
from stages.training.optimiser import Tier, adamw, schedule
from stages.training.tracking import Goal, Tracker
from stages.training.trainer import (
    Augment,
    Batch,
    BranchTrainer,
    Items,
    Keeper,
    Objective,
    Stop,
    best_of,
    exhausted,
    scores_of,
)

Score = Callable[[np.ndarray, np.ndarray], dict[str, float]]  # (outputs, targets) -> scores by name


def fit(
    model: Network,
    tiers: Sequence[Tier],
    train: Items,
    dev: Items,
    collate: Callable[[list[Any]], Batch],
    objective: Objective,
    score: Score,
    goal: Goal,
    settings: Optimisation,
    device: torch.device,
    tracker: Tracker,
    folder: Path,
    augment: Augment | None = None,
) -> int:
    """Train ``model`` in place and leave it with the weights of the epoch that was best on ``dev``.

    Args:
        model: maps a collated batch (less ``labels``) to outputs, [batch, outputs]
        tiers: the parameters that learn, and how fast
        train: what is learnt from
        dev: what picks the epoch; never the test set
        collate: makes a batch of examples; ``labels`` are the targets
        objective: loss of a batch
        score: dev scores
        goal: which of them decides; of equals the earliest epoch wins
        settings: of the optimiser
        device: where to train
        tracker: keeps the history
        folder: for checkpoints; where it holds some, the training goes on from the last one
        augment: what is done to a batch before it is learnt from

    Returns:
        the best epoch, counted from 1
    """
    trainer = _trainer(
        model, tiers, train, collate, objective, settings, device, folder, augment, [tracker],
        eval_dataset=dev,
        compute_metrics=partial(scores_of, objective, score, device),
    )  # fmt: skip
    trainer.add_callback(Keeper(tracker, goal, settings.patience))
    whole = checkpoints.found(folder)
    if whole:
        tracker.restore(checkpoints.history(whole[-1]))
    if len(tracker.history) < settings.epochs and not exhausted(tracker.history, goal, settings.patience):
        _train(trainer, whole[-1] if whole else None)
    processes.barrier()
    best = goal.best(tracker.history)
    weights = load_file(best_of(folder, tracker.history, goal) / "model.safetensors", device=str(device))
    model.to(device).load_state_dict(weights)
    tracker.summarise(best)
    return best + 1


def refit(
    model: Network,
    tiers: Sequence[Tier],
    items: Items,
    collate: Callable[[list[Any]], Batch],
    objective: Objective,
    settings: Optimisation,
    best: int,
    device: torch.device,
    name: str,
    folder: Path,
    augment: Augment | None = None,
) -> int:
    """Train ``model`` in place on train and dev together, with the learning rates that :func:`fit` has in its epochs.

    Nothing is kept on the way: a run that is killed starts again, from the same seed.

    Args:
        model: see :func:`fit`, as for the others
        tiers: of the model
        items: all that is learnt from; nothing is left to choose by
        collate: makes a batch
        objective: its loss
        settings: of the optimiser; its ``refit`` says how long: ``all`` epochs, or up to the best one
        best: the epoch that :func:`fit` returned
        device: where to train
        name: of the training, for its line of output
        folder: the Trainer's
        augment: what is done to a batch

    Returns:
        the last epoch, counted from 1
    """
    epochs = settings.epochs if settings.refit == "all" else best
    if processes.is_first():
        print(f"{name}: {epochs} epochs on {len(items)} utterances, train and dev together")
    trainer = _trainer(model, tiers, items, collate, objective, settings, device, folder, augment, [Stop(epochs)])
    _train(trainer)
    return epochs


def _trainer(
    model: Network,
    tiers: Sequence[Tier],
    train: Items,
    collate: Callable[[list[Any]], Batch],
    objective: Objective,
    settings: Optimisation,
    device: torch.device,
    folder: Path,
    augment: Augment | None,
    callbacks: list[TrainerCallback],
    **others: Any,
) -> BranchTrainer:
    share, rest = divmod(settings.batch_size, processes.count())
    if rest:
        raise UserError(f"batch_size: {settings.batch_size} cannot be shared by {processes.count()} processes")
    optimiser = adamw(tiers, settings)
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
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=device.type != "cpu",
        ddp_find_unused_parameters=False,  # what a network has, it uses
        label_names=["labels"],
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,  # the tracker tells of every epoch
    )
    trainer = BranchTrainer(
        objective,
        augment,
        model=model,
        args=arguments,
        train_dataset=train,
        data_collator=collate,
        optimizers=(optimiser, schedule(optimiser, settings, -(-len(train) // settings.batch_size))),
        callbacks=callbacks,
        **others,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _train(trainer: BranchTrainer, checkpoint: Path | None = None) -> None:
    trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)  # else it went on predicting in bfloat16


@torch.no_grad()
def predict(
    model: nn.Module, items: Items, collate: Callable[[list[Any]], Batch], batch_size: int, device: torch.device
) -> np.ndarray:
    """Return the outputs of ``model`` for every item, in order, [items, ...]."""
    model.eval().to(device)
    order = np.argsort(items.lengths, kind="stable")  # batches of equals: little padding
    outputs: list[np.ndarray] = []
    for start in range(0, len(order), batch_size):
        batch = collate([items[i] for i in order[start : start + batch_size]])
        inputs = {name: value.to(device) for name, value in batch.items() if name != "labels"}
        outputs.append(model(**inputs).float().cpu().numpy())
    return np.concatenate(outputs)[np.argsort(order, kind="stable")]
