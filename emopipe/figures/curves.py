"""Loss and dev scores, epoch by epoch."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emopipe.figures.style import figure


def draw(histories: dict[str, pd.DataFrame], metrics: dict[str, str], path: Path, dpi: int) -> None:
    """Draw the loss on both sets, and the score by which the best epoch is chosen.

    Args:
        histories: by branch; a row per epoch, with columns ``train/loss``, ``dev/loss`` and ``dev/`` the score
        metrics: by branch; the score's name
        path: of the PNG
        dpi: dots per inch
    """
    with figure(path, 2 * len(histories), dpi) as (_, axes):
        for i, (branch, history) in enumerate(histories.items()):
            loss, score = axes[2 * i : 2 * i + 2]
            epochs = range(1, len(history) + 1)
            loss.plot(epochs, history["train/loss"], label="train")
            loss.plot(epochs, history["dev/loss"], label="dev", linestyle="--")
            loss.set(title=f"{branch}: loss", xlabel="epoch")
            loss.legend()
            score.plot(epochs, history[f"dev/{metrics[branch]}"], color="C2")
            score.set(title=f"{branch}: dev {metrics[branch].upper()}", xlabel="epoch")
            for panel in (loss, score):
                panel.xaxis.get_major_locator().set_params(integer=True)
