"""Train the text regressor: valence, arousal and dominance from words."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emopipe.io.errors import UserError, run_stage
from emopipe.parameters import Runtime
from emopipe.schemas import tables
from emopipe.schemas.splits import TEXT, rated, read_text
from emopipe.text import saving
from emopipe.text.fitting import fit
from emopipe.text.parameters import Text
from emopipe.training import checkpoints
from emopipe.training.device import set_up
from emopipe.training.processes import is_first, together
from emopipe.training.tracking import Tracker, live, write_nothing

METRICS = Path("metrics/text")
LOG = {
    "train_loss": "train/loss",
    "val_loss": "dev/loss",
    "val_mse": "dev/mse",
    "val_rmse": "dev/rmse",
    "val_mae": "dev/mae",
}


def main() -> None:
    """Train on the train set, choose the epoch on dev, write models/text and metrics/text."""
    settings, runtime = Text.load(), Runtime.load()
    if together("stages.finetune_text", runtime):
        return
    device = set_up(runtime, settings.seed)
    rows = read_text()
    if rows.empty:
        if is_first():
            _write_nothing()
        return
    train, dev = (rated(rows[rows["split"] == name]) for name in ("train", "dev"))
    for name, own in (("training", train), ("dev", dev)):
        if own.empty:
            raise UserError(
                f"data.text.corpora: no {name} utterance has valence, arousal and dominance, which the regressor "
                "learns from; add a corpus that has them (emobank, iemocap), or switch the text branch off with []"
            )
    if is_first():
        print(f"finetune_text: {len(train)} utterances to train on, {len(dev)} to choose the epoch on")
    with checkpoints.kept("finetune_text", [settings], runtime, [TEXT]) as folder, live(METRICS) as tracked:
        tracker = Tracker("finetune_text", tracked, runtime.tensorboard)
        trained = fit(train, dev, settings, device, tracker, folder)
        if is_first():
            write_log(tracker.history, METRICS / "log.csv")
            saving.save(trained)


def write_log(history: list[dict[str, float]], path: Path) -> None:
    """Write one line per epoch, six decimals: losses of standardised VAD, errors on the 1..5 scale."""
    table = pd.DataFrame(history, columns=list(LOG.values()), dtype=float).set_axis(list(LOG), axis=1)
    table.insert(0, "epoch", range(1, len(table) + 1))
    tables.write_csv(table, path, "%.6f")


def _write_nothing() -> None:
    """Leave what later stages and DVC look for when data.text.corpora is empty."""
    print("finetune_text: data/splits/text.csv has no utterances; nothing to train")
    write_nothing(METRICS)
    write_log([], METRICS / "log.csv")
    saving.save_none()


if __name__ == "__main__":
    run_stage(main)
