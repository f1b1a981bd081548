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
    """Write metrics/figures."""
    plot = load("plot")
    histories = {branch: _history(Path("metrics") / branch) for branch in SCORES}
    curves.draw(histories, SCORES, FIGURES / "training.png", plot.dpi)

    audio, text = predictions.read_audio(), predictions.read_text()
    confusion.draw(audio["truth"], audio["prediction"], "audio: emotion", FIGURES / "confusion_audio.png", plot.dpi)
    named = text[text["emotion"] != ""]
    confusion.draw(
        named["emotion"], named["emotion_predicted"], "text: emotion from VAD", FIGURES / "confusion_text.png", plot.dpi
    )
    vad.draw(text[text["valence"].notna()], FIGURES / "vad.png", plot.dpi)


def _history(folder: Path) -> pd.DataFrame:
    """Return DVCLive's curves as one table, a row per epoch and a column per metric."""
    root = folder / "plots" / "metrics"
    files = sorted(root.rglob("*.tsv"))
    return pd.DataFrame(
        {f.relative_to(root).with_suffix("").as_posix(): pd.read_csv(f, sep="\t").iloc[:, -1] for f in files}
    )


if __name__ == "__main__":
    run(main)
