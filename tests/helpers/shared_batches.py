"""Trains a small network and writes its weights: python shared_batches.py FOLDER, alone or under torchrun.

With ACCELERATE_USE_FSDP the weights are sharded, too. Accelerate does so on GPUs alone: it is made to believe that
there are some, and all that follows is done by FSDP and gloo on this machine's processor.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from safetensors.torch import save_file
from torch import nn
from torch.distributed.tensor import DTensor
from torch.nn.functional import cross_entropy

from emopipe.io.ranks import is_first, world_size
from emopipe.parameters import Runtime
from emopipe.text.parameters import Text
from emopipe.training.data import ExampleDataset
from emopipe.training.devices import set_up
from emopipe.training.fitting import Recipe, Run, TrainingData, fit, refit
from emopipe.training.networks import Network, ParameterGroup
from emopipe.training.tracking import Tracker

ROOT = Path(__file__).parents[2]


class Tiny(Network):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, 16), nn.Tanh())
        self.head = nn.Linear(16, 3)

    def embedding(self, x: torch.Tensor) -> torch.Tensor:
        return self.trunk(x)


class Watching(Tracker):
    """Knows how many weights this process held after the last step."""

    def on_step_end(self, args, state, control, model, **_):
        own = (value.to_local() if isinstance(value, DTensor) else value for value in model.parameters())
        self.held = sum(value.numel() for value in own)


def as_if_on_gpus() -> None:
    """Let accelerate take processes on the processor for some on GPUs."""
    made = PartialState.__init__

    def init(self, *arguments: object, **others: object) -> None:
        made(self, *arguments, **others)
        if self.distributed_type == DistributedType.MULTI_CPU:
            self._shared_state["distributed_type"] = self.distributed_type = DistributedType.MULTI_GPU

    PartialState.__init__ = init


def examples(number: int) -> ExampleDataset:
    generator = torch.Generator().manual_seed(number)
    x = torch.randn(number, 6, generator=generator)
    lengths = torch.randint(1, 50, (number,), generator=generator).tolist()
    return ExampleDataset(list(zip(x, x[:, :3].argmax(1), strict=True)), lengths)


def collate(batch: list) -> dict[str, torch.Tensor]:
    return {"x": torch.stack([x for x, _ in batch]), "labels": torch.stack([y for _, y in batch])}


def weighted(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return a loss that is no mean over utterances: that of the whole batch is not the mean of its parts'."""
    return cross_entropy(outputs, targets, weight=torch.tensor([1.0, 3.0, 0.2]))


def main(folder: Path) -> None:
    text, runtime = Text.load(path=ROOT / "params.yaml"), Runtime.load(path=ROOT / "params.yaml")
    settings = text.model_copy(update={"epochs": 3, "batch_size": 8, "learning_rate": 0.02, "micro_batch": 3})
    device = set_up(runtime.model_copy(update={"threads": 1}), seed=1)
    tracker = Watching("test")
    recipe = Recipe(
        collate,
        lambda model: [ParameterGroup([model.trunk], 1.0, pull=2.0), ParameterGroup([model.head], 1.0)],
        lambda outputs, targets: {"accuracy": float((outputs.argmax(1) == targets).mean())},
        "accuracy",
        settings,
    )
    run = Run(device, tracker, folder / "checkpoints")
    data = TrainingData(examples(64), Tiny, weighted)
    model, _ = fit(recipe, data, examples(31), run)
    anew, _ = refit(recipe, data, 2, run)
    if is_first():
        refitted = {f"refitted.{name}": value for name, value in anew.state_dict().items()}
        told = {
            "history": torch.tensor([[row["dev/accuracy"], row["dev/loss"]] for row in tracker.history]),
            "count": torch.tensor([world_size(), tracker.held]),
        }
        save_file({**model.state_dict(), **refitted, **told}, folder / "result.safetensors")


if __name__ == "__main__":
    if "ACCELERATE_USE_FSDP" in os.environ:
        as_if_on_gpus()
    main(Path(sys.argv[1]))
