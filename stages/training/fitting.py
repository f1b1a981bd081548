"""One training run, of either branch, on Hugging Face's Trainer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Sampler
from transformers import EarlyStoppingCallback, EvalPrediction, PrinterCallback, Trainer, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler

from stages.contracts.parameters import Optimisation
from stages.training.optimiser import Tier, adamw
from stages.training.tracking import Tracker

Objective = Callable[[Tensor, Tensor], Tensor]  # (outputs, targets) -> scalar loss
Score = Callable[[np.ndarray, np.ndarray], dict[str, float]]  # (outputs, targets) -> scores by name
Batch = dict[str, Tensor]


class Goal(NamedTuple):
    """The dev score that picks the epoch."""

    name: str
    greater_is_better: bool


class Items(Dataset):
    """A list of examples that knows their lengths, so that batches can be made of equals."""

    def __init__(self, examples: Sequence[Any], lengths: Sequence[int]) -> None:
        self.examples = examples
        self.lengths = list(lengths)

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> Any:
        return self.examples[index]


class _Trainer(Trainer):
    def __init__(self, objective: Objective, **settings: Any) -> None:
        super().__init__(**settings)
        self.objective = objective

    def compute_loss(
        self, model: nn.Module, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Tensor | None = None
    ) -> Any:
        targets = inputs["labels"]
        outputs = model(**{name: value for name, value in inputs.items() if name != "labels"})
        loss = self.objective(outputs, targets)
        return (loss, {"outputs": outputs}) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Items | None = None) -> Sampler:
        dataset = train_dataset or self.train_dataset
        return LengthGroupedSampler(self.args.train_batch_size, lengths=dataset.lengths)


def fit(
    model: nn.Module,
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
    checkpoints: Path,
) -> int:
    """Train ``model`` in place and leave it with the weights of the epoch that was best on ``dev``.

    Args:
        model: maps a collated batch (less ``labels``) to outputs, [batch, ...]
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
        checkpoints: folder for the best epoch's weights, removed at the end

    Returns:
        the best epoch, counted from 1
    """
    shutil.rmtree(checkpoints, ignore_errors=True)
    steps = -(-len(train) // settings.batch_size) * settings.epochs
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=2 * settings.batch_size,
        lr_scheduler_type="constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        warmup_steps=round(settings.warmup * steps),
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        eval_strategy="epoch",
        logging_strategy="epoch",
        save_strategy="epoch",
        save_only_model=True,
        save_total_limit=1,
        load_best_model_at_end=True,
        metric_for_best_model=goal.name,
        greater_is_better=goal.greater_is_better,
        use_cpu=device.type == "cpu",
        dataloader_pin_memory=device.type != "cpu",
        label_names=["labels"],
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,  # the tracker tells of every epoch
    )
    trainer = _Trainer(
        objective,
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=dev,
        data_collator=collate,
        compute_metrics=lambda prediction: _scores(prediction, score),
        optimizers=(adamw(tiers, settings), None),
        callbacks=[tracker, *([EarlyStoppingCallback(settings.patience)] if settings.patience else [])],
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    shutil.rmtree(checkpoints)
    values = [row[f"dev/{goal.name}"] for row in tracker.history]
    best = int(np.argmax(values) if goal.greater_is_better else np.argmin(values))
    if tracker.live is not None:
        scores = {key.removeprefix("dev/"): v for key, v in tracker.history[best].items() if key.startswith("dev/")}
        tracker.live.summary = {"epoch": best + 1, "dev": scores}  # what dvc metrics shows: the model that is kept
    return best + 1


def _scores(prediction: EvalPrediction, score: Score) -> dict[str, float]:
    return score(prediction.predictions, prediction.label_ids)


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
