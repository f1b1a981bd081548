"""Train the text regressor: valence, arousal and dominance from text."""

from __future__ import annotations

from pathlib import Path

from emopipe.io.errors import UserError, run_stage
from emopipe.io.ranks import is_first
from emopipe.parameters import Runtime
from emopipe.schemas import notices
from emopipe.schemas.splits import TEXT, rated, read_text
from emopipe.text import saving
from emopipe.text.batches import tell_unread
from emopipe.text.fitting import fit
from emopipe.text.parameters import Text
from emopipe.training.checkpoints import checkpoint_folder
from emopipe.training.devices import launch, set_up
from emopipe.training.fitting import Run
from emopipe.training.tracking import Tracker, live, write_log, write_nothing

METRICS = Path("metrics/text")
LOG = METRICS / "log.csv"


def main() -> None:
    """Train on the train set, select the epoch on dev, write models/text and metrics/text."""
    settings, runtime = Text.load(), Runtime.load()
    if launch("stages.finetune_text", runtime):
        return
    device, rows = set_up(runtime, settings.seed), read_text()
    if rows.empty:
        if is_first():
            print("finetune_text: data/splits/text.csv has no utterances; nothing to train")
            write_nothing(METRICS)
            write_log([], LOG)
            saving.save_none()
            with notices.collected(notices.TEXT):
                pass  # there is no text to cut off
        return
    train, dev = (rated(rows[rows["split"] == name]) for name in ("train", "dev"))
    for name, own in (("training", train), ("dev", dev)):
        if own.empty:
            raise UserError(
                f"data.text.corpora: no {name} utterance has valence, arousal and dominance, which the regressor "
                "is trained on; add a corpus that has them (emobank, iemocap), or switch the text branch off with []"
            )
    if is_first():
        print(f"finetune_text: {len(train)} training utterances, {len(dev)} to select the epoch on")
    with checkpoint_folder("finetune_text", [settings], runtime, [TEXT]) as folder, live(METRICS) as opened:
        run = Run(device, Tracker("finetune_text", opened, runtime.tensorboard), folder, runtime.threads)
        trained = fit(train, dev, settings, run)
        if is_first():
            write_log(run.tracker.history, LOG)
            saving.save(trained)
            with notices.collected(notices.TEXT):
                tell_unread(rows["transcript"], trained.tokenizer, settings.max_tokens)


if __name__ == "__main__":
    run_stage(main)
