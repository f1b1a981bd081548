"""The mean of a network's weights over the last part of a training.

A mean of points around a minimum lies nearer its middle than any of them, where a network is right about more of what
it has not seen (Izmailov et al., "Averaging weights leads to wider optima and better generalization", UAI 2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emopipe.io.outputs import atomic_write
from emopipe.training.sharding import full, sharded_like

FILE = "averaged.safetensors"


class WeightAverage(TrainerCallback):
    """Follows a training and holds the mean of the weights after each of its last steps."""

    def __init__(self, share: float, steps: int) -> None:
        """Follow a training.

        Args:
            share: of the steps over which the mean is taken, the last ones; 0: there is none
            steps: of the whole training
        """
        self.first = steps - round(share * steps)
        self.mean: dict[str, Tensor] | None = None  # by name; None: the last part has not begun

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **_: Any
    ) -> None:
        """Take in the weights after a step."""
        number = state.global_step - self.first  # of these weights among those whose mean is taken
        if number == 1:
            self.mean = {name: value.clone() for name, value in model.state_dict().items()}
        elif number > 1:
            own = model.state_dict()
            self.mean = {name: _next_mean(mean, own[name], number) for name, mean in self.mean.items()}

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Put the mean into a checkpoint, before it counts as whole."""
        if self.mean is None:
            return
        mean = {name: full(value) for name, value in self.mean.items()}
        if state.is_world_process_zero:
            with atomic_write(Path(args.output_dir, f"checkpoint-{state.global_step}", FILE)) as part:
                save_file(mean, part)

    def load(self, checkpoint: Path) -> None:
        """Return to the mean at a checkpoint of this network."""
        self.mean = load_file(checkpoint / FILE) if (checkpoint / FILE).exists() else None

    def copy_to(self, model: nn.Module) -> None:
        """Replace the weights of a network by their mean, where there is one."""
        if self.mean is not None:
            model.load_state_dict(self.mean)

    @contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[None]:
        """Replace the weights of a network by their mean within the block."""
        own = deepcopy(model.state_dict()) if self.mean is not None else None
        self.copy_to(model)
        yield
        if own is not None:
            model.load_state_dict(own)


def _next_mean(mean: Tensor, value: Tensor, number: int) -> Tensor:
    """Return the mean of so many values, of which this is the last.

    Args:
        mean: of those before
        value: that comes to them; of a counter, as batch norm has one, the latest value is kept
        number: of values, this one included
    """
    return sharded_like(value, mean).lerp(value, 1 / number) if value.is_floating_point() else value.clone()
