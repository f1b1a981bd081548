"""A small network with dropout and batch norm, examples for it, and a training of it that can be stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from emopipe.text.parameters import Text
from emopipe.training.data import ExampleDataset
from emopipe.training.fitting import Recipe, Run, TrainingData, fit
from emopipe.training.networks import Network, ParameterGroup
from emopipe.training.tracking import Tracker
from helpers.paths import ROOT

CPU = torch.device("cpu")
PARAMS = ROOT / "params.yaml"


class Tiny(Network):
    """A network with dropout, whose random numbers a checkpoint has to bring back."""

    dropout = 0.3

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Dropout(self.dropout))
        self.head = nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, 3))

    def embedding(self, x: torch.Tensor) -> torch.Tensor:
        return self.trunk(x)


def examples(count: int, seed: int) -> ExampleDataset:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 6, generator=generator)
    y = x[:, :3].argmax(1)
    return ExampleDataset(list(zip(x, y, strict=True)), torch.randint(1, 50, (count,), generator=generator).tolist())


def collate(batch: list) -> dict[str, torch.Tensor]:
    return {"x": torch.stack([x for x, _ in batch]), "labels": torch.stack([y for _, y in batch])}


def score(outputs: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    return {"accuracy": float((outputs.argmax(1) == targets).mean())}


def settings(**changes: object) -> Text:
    changes = {"epochs": 6, "seed": 3, "learning_rate": 0.02, "batch_size": 8, "warmup": 0.0} | changes
    return Text.load(path=PARAMS).model_copy(update=changes)


class KilledError(Exception):
    """Stands for the end of the process."""


class Mortal(Tracker):
    """Dies before a batch of an epoch."""

    def __init__(self, epoch: int | None) -> None:
        super().__init__("test")
        self.epoch = epoch

    def on_step_end(self, args, state, control, **_):
        if self.epoch is not None and state.epoch > self.epoch + 0.5:
            raise KilledError


def recipe(**changes: object) -> Recipe:
    return Recipe(collate, lambda model: [ParameterGroup([model], 1.0)], score, "accuracy", settings(**changes))


def training_data(dataset: ExampleDataset) -> TrainingData:
    return TrainingData(dataset, Tiny, cross_entropy)


def run(folder: Path, tracker: Tracker | None = None, processes: int = 1) -> Run:
    return Run(CPU, tracker or Tracker("name"), folder, processes)


def trained(folder: Path, epoch: int | None = None, **changes: object) -> tuple[dict, list, int]:
    tracker = Mortal(epoch)
    data = training_data(examples(60, 1))
    model, best = fit(recipe(**changes), data, examples(30, 2), run(folder, tracker))
    return model.state_dict(), tracker.history, best


def same(one: dict, other: dict) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one | other)
