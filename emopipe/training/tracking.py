"""Logging of a training: DVCLive, TensorBoard, one line per epoch; and the choice of the best epoch."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from dvclive import Live
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emopipe.io.errors import UserError
from emopipe.io.outputs import reporting_faults, write_json
from emopipe.io.ranks import is_first
from emopipe.schemas import tables

# What the Trainer reports beside scores: times differ from run to run, and outputs must not.
LOG = {  # columns of the plain CSV of a regression's training
    "train_loss": "train/loss",
    "val_loss": "dev/loss",
    "val_mse": "dev/mse",
    "val_rmse": "dev/rmse",
    "val_mae": "dev/mae",
}
NOT_SCORES = ("runtime", "samples_per_second", "steps_per_second", "epoch", "model_preparation_time")


def best_epoch(history: list[dict[str, float]], metric: str | None) -> int:
    """Return the number of the row with the greatest dev score, from 0; of equals the earliest; without one, the last.

    >>> best_epoch([{"dev/uar": 0.5}, {"dev/uar": 0.7}, {"dev/uar": 0.7}], "uar")
    1
    """
    if metric is None:
        return len(history) - 1
    values = [row[f"dev/{metric}"] for row in history]
    return values.index(max(values))


def dev_scores(row: Mapping[str, float]) -> dict[str, float]:
    """Return the dev scores and the dev loss of an epoch's row, by name."""
    return {key.removeprefix("dev/"): value for key, value in row.items() if key.startswith("dev/")}


@contextmanager
def live(folder: Path) -> Iterator[Live | None]:
    """Open DVCLive in a stage's metrics folder: no report, no experiment of its own, no system figures.

    Of several processes the first one gets it, the others None.

    Raises:
        UserError: if the repository has no commit yet, which DVC's experiments need
    """
    from scmrepo.exceptions import SCMError

    if not is_first():
        yield None
        return
    try:
        with (
            reporting_faults(folder),
            Live(str(folder), dvcyaml=False, save_dvc_exp=False, report=None, monitor_system=False) as opened,
        ):
            yield opened
    except SCMError as error:
        raise UserError(f"DVCLive cannot log to {folder}: {error}; does the Git repository have a commit?") from None


def write_nothing(folder: Path) -> None:
    """Write what DVC and later stages look for when a branch is switched off and nothing is trained."""
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    write_json({}, folder / "metrics.json")


def write_log(history: list[dict[str, float]], path: Path) -> None:
    """Write one line per epoch, six decimals: losses of standardised VAD, errors on the 1..5 scale."""
    table = pd.DataFrame(history, columns=list(LOG.values()), dtype=float).set_axis(list(LOG), axis=1)
    table.insert(0, "epoch", range(1, len(table) + 1))
    tables.write_csv(table, path, "%.6f")


class Tracker(TrainerCallback):
    """Collects one row per epoch: ``train/loss``, ``train/learning_rate``, ``dev/loss`` and the dev scores."""

    def __init__(self, name: str, live: Live | None = None, tensorboard: str | None = None) -> None:
        """Track a training.

        Args:
            name: what the lines on the screen begin with
            live: gets every row; None: there is none
            tensorboard: folder for TensorBoard's logs, which get every row too; None: there are none
        """
        self.name = name
        self.live = live
        self.board = _board(Path(tensorboard, name)) if tensorboard and is_first() else None
        self.history: list[dict[str, float]] = []
        self._train: dict[str, float] = {}
        self._began, self._before = 0.0, 0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Start the clock."""
        self._began, self._before = time.monotonic(), len(self.history)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: dict[str, float], **_: Any
    ) -> None:
        """Remember the epoch's training loss."""
        self._train = {f"train/{key}": logs[key] for key in ("loss", "learning_rate") if key in logs} or self._train

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, metrics: dict[str, float], **_: Any
    ) -> None:
        """Complete the epoch's row, log it and print it."""
        scores = {key.removeprefix("eval_"): value for key, value in metrics.items()}
        row = self._train | {f"dev/{key}": value for key, value in scores.items() if key not in NOT_SCORES}
        if not math.isfinite(row["dev/loss"]):
            raise UserError(f"{self.name}: the dev loss is {row['dev/loss']}: training diverged; lower learning_rate")
        self._add(row)
        epoch, epochs = len(self.history), int(args.num_train_epochs)
        left = (time.monotonic() - self._began) / (epoch - self._before) * (epochs - epoch)
        shown = "  ".join(f"{key} {value:.4g}" for key, value in row.items() if key != "train/learning_rate")
        self.print(f"epoch {epoch}/{epochs}  {shown}  {left:.0f} s left")

    def restore(self, history: list[dict[str, float]]) -> None:
        """Take over the rows of a training that was stopped, as if they had been made now."""
        for row in history:
            self._add(row)

    def summarise(self, epoch: int, scores: dict[str, float], others: Mapping[str, Any] | None = None) -> None:
        """Log as the summary, which ``dvc metrics show`` prints, what there is to say of the model that is kept.

        Args:
            epoch: whose weights it has, from 1
            scores: on dev
            others: what else
        """
        if self.live is not None:
            self.live.summary = {"epoch": epoch, "dev": scores, **(others or {})}

    def _add(self, row: dict[str, float]) -> None:
        self.history.append(row)
        if self.live is not None:
            with reporting_faults(Path(self.live.dir)):
                for key, value in row.items():
                    self.live.log_metric(key, value)
                self.live.next_step()
        if self.board is not None:
            for key, value in row.items():
                self.board.add_scalar(key, value, len(self.history))
            self.board.flush()

    def print(self, line: str) -> None:
        """Print a line that begins with the name, by the first process alone."""
        if is_first():
            print(f"{self.name}: {line}", file=sys.stderr, flush=True)


def _board(folder: Path) -> Any:
    from tensorboardX import SummaryWriter  # here: few ask for it

    return SummaryWriter(str(folder))
