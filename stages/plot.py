"""Draw what the trainings and the evaluation found."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from stages.contracts import predictions
from stages.contracts.errors import run
from stages.contracts.parameters import load
from stages.figures import confusion, curves, vad

FIGURES = Path("metrics/figures")
SCORES = {"audio": ("dev/uar", "UAR"), "text": ("dev/mse", "MSE")}


def main() -> None:
    """Write metrics/figures; what a branch that is switched off would show is left out."""
    plot = load("plot")
    FIGURES.mkdir(parents=True, exist_ok=True)
    histories = {branch: history for branch in SCORES if len(history := _history(Path("metrics") / branch))}
    if histories:
        curves.draw(histories, SCORES, FIGURES / "training.png", plot.dpi)
    audio, text = predictions.read_audio(), predictions.read_text()
    named, rated = text[text["emotion_predicted"] != ""], text[text["valence"].notna()]
    named = named[named["emotion"] != ""]
    for rows, columns, title, name in (
        (audio, ("truth", "prediction"), "audio: emotion", "confusion_audio.png"),
        (named, ("emotion", "emotion_predicted"), "text: emotion from VAD", "confusion_text.png"),
    ):
        if len(rows):
            confusion.draw(rows[columns[0]], rows[columns[1]], title, FIGURES / name, plot.dpi)
    if len(rated):
        vad.draw(rated, FIGURES / "vad.png", plot.dpi)


def _history(folder: Path) -> pd.DataFrame:
    """Return DVCLive's curves as one table, a row per epoch and a column per metric."""
    root = folder / "plots" / "metrics"
    tables = {f.relative_to(root).with_suffix("").as_posix(): pd.read_csv(f, sep="\t") for f in root.rglob("*.tsv")}
    return pd.DataFrame({name: tables[name].iloc[:, -1] for name in sorted(tables)})


if __name__ == "__main__":
    run(main)
