"""Hugging Face's Trainer with the few things it leaves open: the order of batches, whole-batch losses, checkpoints."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import Sampler
from transformers import EvalPrediction, Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_pt_utils import get_length_grouped_indices

from emopipe.io import ranks
from emopipe.io.errors import UserError
from emopipe.io.outputs import reporting_faults
from emopipe.training import checkpoints, devices
from emopipe.training.averaging import WeightAverage
from emopipe.training.data import PIECE, PIECES, WINDOW, Batch, ExampleDataset, Loss
from emopipe.training.mixup import Mixture
from emopipe.training.tracking import Tracker, best_epoch

Augment = Callable[[Batch], Mixture]  # what a training batch goes through


class ByLength(Sampler[int]):
    """Batches of about one length, in an order that the seed and the epoch decide alone.

    However many processes share a batch, it is the same, whatever random numbers each has used up.
    """

    def __init__(self, batch_size: int, lengths: list[int], seed: int, groups: Sequence[int] | None = None) -> None:
        """Take what there is to draw from.

        Args:
            batch_size: of all processes together
            lengths: of the examples
            seed: of the training
            groups: numbers of the group of each example; an epoch draws as many of each group, and as many as there are
                examples. None: it draws every example once
        """
        self.batch_size = batch_size
        self.lengths = lengths
        self.seed = seed
        self.groups = None if groups is None else torch.as_tensor(groups)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Shuffle anew; called by the Trainer."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 2**20 + self.epoch)
        drawn = torch.arange(len(self)) if self.groups is None else balanced(self.groups, generator)
        for window in windows(drawn, generator):
            rows = window.tolist()
            lengths = [self.lengths[row] for row in rows]
            yield from (rows[i] for i in get_length_grouped_indices(lengths, self.batch_size, generator=generator))


def windows(rows: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
    """Divide rows into windows of pieces from everywhere, each piece of neighbours; see :data:`WINDOW`.

    Args:
        rows: numbers of examples, [rows]
        generator: of the order of the pieces
    """
    if len(rows) <= WINDOW:
        yield rows
        return
    pieces = rows.sort().values.split(PIECE)
    order = torch.randperm(len(pieces), generator=generator).tolist()
    for start in range(0, len(order), PIECES):
        yield torch.cat([pieces[i] for i in order[start : start + PIECES]])


def balanced(groups: Tensor, generator: torch.Generator) -> Tensor:
    """Return rows, as many as there are, with the same number of every group but for one.

    Of a group no row comes again before all others have come as often.

    Args:
        groups: numbers of the group of each row, [rows]
        generator: of the order
    """
    names = groups.unique()
    names = names[torch.randperm(len(names), generator=generator)]  # whose turn it is to have one more
    drawn = []
    for number, name in enumerate(names.tolist()):
        rows = (groups == name).nonzero().flatten()
        count = len(groups) // len(names) + (number < len(groups) % len(names))
        orders = [rows[torch.randperm(len(rows), generator=generator)] for _ in range(-(-count // len(rows)))]
        drawn.append(torch.cat(orders)[:count] if orders else rows[:0])
    return torch.cat(drawn)


class OneDevice(TrainingArguments):
    """Arguments of a process that trains on one device, however many GPUs it sees.

    With more, the Trainer would wrap the network in DataParallel and multiply the batch by their number: half the
    steps, another schedule, other scores. Several GPUs are several processes, ``runtime.processes``.
    """

    @property
    def n_gpu(self) -> int:
        """Return the number of GPUs that a batch is divided among: none on a CPU, else one."""
        return min(1, super().n_gpu)


class BranchTrainer(Trainer):
    """A Trainer with the loss of a branch, over the batch of all processes, that evaluates averaged weights."""

    def __init__(
        self,
        loss: Loss,
        augment: Augment | None,
        average: WeightAverage,
        make_optimiser: Callable[[], Optimizer],
        make_schedule: Callable[[Optimizer], LRScheduler],
        groups: Sequence[int] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.loss = loss
        self.make_optimiser = make_optimiser
        self.make_schedule = make_schedule
        self.groups = groups  # of the training examples, of which an epoch draws as many
        self.augment = augment
        self.average = average
        self.add_callback(average)
        self.model_accepts_loss_kwargs = False  # it takes any tensors by name, and no sum to divide the loss by

    def create_accelerator_and_postprocess(self) -> None:
        """Make what wraps the network, which ``accelerate launch --use_fsdp`` wants sharded.

        Raises:
            UserError: if FSDP is wanted and cannot be had
        """
        wanted = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
        if wanted:
            os.environ["FSDP_STATE_DICT_TYPE"] = "FULL_STATE_DICT"  # a checkpoint has one file of weights, as without
        super().create_accelerator_and_postprocess()
        if wanted and not self.is_fsdp_enabled:
            raise UserError("FSDP: accelerate shards weights among several GPUs alone; leave --use_fsdp out")
        if wanted and self.accelerator.state.fsdp_plugin.fsdp_version != 2:
            raise UserError("FSDP: its first version is not supported; accelerate launch --fsdp_version 2")

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        """Make the optimiser; called before FSDP shards the network's weights."""
        self.optimizer = self.make_optimiser()
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> LRScheduler:
        """Make what changes the learning rates; the number of steps is that of the schedule, not of the Trainer."""
        self.lr_scheduler = self.make_schedule(optimizer or self.optimizer)
        return self.lr_scheduler

    def compute_loss(
        self, model: nn.Module, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Tensor | None = None
    ) -> Any:
        """Return the loss; in training that of the rows of all processes, of which each computes its own outputs.

        A mixture is of the rows of one process, and so is its loss.
        """
        if not model.training:
            outputs = model(**_without_labels(inputs))
            value = self.loss(outputs, inputs["labels"])
            return (value, {"outputs": outputs}) if return_outputs else value
        if self.augment is not None:
            mixture = self.augment(inputs)
            return mixture.mixed_loss(self.loss, model(**_without_labels(mixture.batch)))
        outputs = devices.all_gather(model(**_without_labels(inputs)))
        return self.loss(outputs, devices.all_gather(inputs["labels"]))

    def evaluate(self, *arguments: Any, **others: Any) -> dict[str, float]:
        """Return the scores of the weights that would be kept."""
        with self.average.applied_to(self.model):
            return super().evaluate(*arguments, **others)

    def _save_checkpoint(self, *arguments: Any, **others: Any) -> None:
        with reporting_faults(Path(self.args.output_dir)):
            super()._save_checkpoint(*arguments, **others)

    def _get_train_sampler(self, train_dataset: ExampleDataset | None = None) -> Sampler:
        dataset = train_dataset or self.train_dataset
        batch_size = self.args.train_batch_size * ranks.world_size()
        return ByLength(batch_size, dataset.lengths, self.args.seed, self.groups)


def _without_labels(batch: Batch) -> Batch:
    return {name: value for name, value in batch.items() if name != "labels"}


class CheckpointCallback(TrainerCallback):
    """Marks checkpoints as whole, keeps the last one and the best one, and stops a training that gets no better."""

    def __init__(self, tracker: Tracker, metric: str | None, patience: int | None) -> None:
        self.tracker = tracker
        self.metric = metric
        self.patience = patience

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called when a checkpoint is written, after the epoch's scores are known."""
        history, folder = self.tracker.history, Path(args.output_dir)
        if state.is_world_process_zero:
            newest = folder / f"checkpoint-{state.global_step}"
            checkpoints.mark_complete(newest, history)
            checkpoints.remove_all_but(folder, {newest, best_of(folder, history, self.metric)})
        control.should_training_stop |= exhausted(history, self.metric, self.patience)


def best_of(folder: Path, history: checkpoints.History, metric: str | None) -> Path:
    """Return the checkpoint of the best epoch."""
    epochs = best_epoch(history, metric) + 1
    return next(path for path in checkpoints.completed(folder) if len(checkpoints.history(path)) == epochs)


def exhausted(history: checkpoints.History, metric: str | None, patience: int | None) -> bool:
    """Return whether the last ``patience`` epochs brought nothing better."""
    return patience is not None and bool(history) and len(history) - 1 - best_epoch(history, metric) >= patience


class StopAfterEpochs(TrainerCallback):
    """Ends a training after a number of epochs, whatever the schedule of its learning rate was made for."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Called after each epoch."""
        control.should_training_stop |= round(state.epoch) >= self.epochs


def scores_of(
    loss: Loss, score: Callable[..., dict[str, float]], device: torch.device, prediction: EvalPrediction
) -> dict[str, float]:
    """Return the dev scores and the loss of the dev set as a whole, which is no mean over batches."""
    outputs, targets = prediction.predictions, prediction.label_ids
    value = loss(*(torch.from_numpy(part).to(device) for part in (outputs, targets)))
    return {"loss": float(value), **score(outputs, targets)}
