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

from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emopipe.io.outputs import atomic_write

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
        self.mean: AveragedModel | None = None  # None: the last part has not begun

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: nn.Module, **_: Any
    ) -> None:
        """Take in the weights after a step."""
        if state.global_step > self.first:
            self.mean = self.mean or _averaged(model)
            self.mean.update_parameters(model)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Put the mean into a checkpoint, before it counts as whole."""
        if self.mean is not None and state.is_world_process_zero:
            with atomic_write(Path(args.output_dir, f"checkpoint-{state.global_step}", FILE)) as part:
                save_model(self.mean, str(part))

    def load(self, checkpoint: Path, model: nn.Module) -> None:
        """Return to the mean at a checkpoint of this network."""
        self.mean = None
        if (checkpoint / FILE).exists():
            self.mean = _averaged(model)
            load_model(self.mean, str(checkpoint / FILE))

    def copy_to(self, model: nn.Module) -> None:
        """Replace the weights of a network by their mean, where there is one."""
        if self.mean is not None:
            model.load_state_dict(self.mean.module.state_dict())

    @contextmanager
    def applied_to(self, model: nn.Module) -> Iterator[None]:
        """Replace the weights of a network by their mean within the block."""
        own = deepcopy(model.state_dict()) if self.mean is not None else None
        self.copy_to(model)
        yield
        if own is not None:
            model.load_state_dict(own)


def _averaged(model: nn.Module) -> AveragedModel:
    return AveragedModel(model, avg_fn=_next_mean, use_buffers=True)


def _next_mean(mean: Tensor, value: Tensor, count: Tensor) -> Tensor:
    """Return the mean with one more value in it; a counter, as batch norm has one, keeps its latest value."""
    return mean.lerp(value, 1 / (count.item() + 1)) if value.is_floating_point() else value
