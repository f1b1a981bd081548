"""What is told and kept of a training: DVCLive's files, and a line per epoch."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dvclive import Live
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from stages.contracts.errors import UserError

# What the Trainer reports beside scores: times differ from run to run, and outputs must not.
NOT_SCORES = ("runtime", "samples_per_second", "steps_per_second", "epoch", "model_preparation_time")


@contextmanager
def live(folder: Path) -> Iterator[Live]:
    """Open DVCLive in a stage's metrics folder: no report, no experiment of its own, no system figures.

    Raises:
        UserError: if the repository has no commit yet, which DVC's experiments need
    """
    from scmrepo.exceptions import SCMError

    try:
        with Live(str(folder), dvcyaml=False, save_dvc_exp=False, report=None, monitor_system=False) as opened:
            yield opened
    except SCMError as error:
        raise UserError(f"DVCLive cannot log to {folder}: {error}; does the Git repository have a commit?") from None


def write_nothing(folder: Path) -> None:
    """Leave what DVC and later stages look for when a branch is switched off and nothing is trained."""
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text("{}\n", encoding="utf-8")


class Tracker(TrainerCallback):
    """Collects one row per epoch: ``train/loss``, ``train/learning_rate``, ``dev/loss`` and the dev scores."""

    def __init__(self, name: str, live: Live | None = None) -> None:
        self.name = name
        self.live = live
        self.history: list[dict[str, float]] = []
        self._train: dict[str, float] = {}
        self._began = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self._began = time.monotonic()

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float], **_: Any
    ) -> None:
        """Remember the epoch's training loss."""
        self._train = {f"train/{key}": logs[key] for key in ("loss", "learning_rate") if key in logs} or self._train

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: dict[str, float], **_: Any
    ) -> None:
        """Complete the epoch's row and tell of it."""
        scores = {key.removeprefix("eval_"): value for key, value in metrics.items()}
        row = self._train | {f"dev/{key}": value for key, value in scores.items() if key not in NOT_SCORES}
        if not math.isfinite(row["dev/loss"]):
            raise UserError(f"{self.name}: the dev loss is {row['dev/loss']}: training diverged; lower learning_rate")
        self.history.append(row)
        if self.live is not None:
            for key, value in row.items():
                self.live.log_metric(key, value)
            self.live.next_step()
        epoch, epochs = len(self.history), int(args.num_train_epochs)
        left = (time.monotonic() - self._began) / epoch * (epochs - epoch)
        shown = "  ".join(f"{key} {value:.4g}" for key, value in row.items() if key != "train/learning_rate")
        print(f"{self.name}: epoch {epoch}/{epochs}  {shown}  {left:.0f} s left", file=sys.stderr, flush=True)
