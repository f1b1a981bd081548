"""Confusion matrices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from emopipe.figures.style import SMALL, figure
from emopipe.results.scores import confusion

DARK = 0.55  # share above which white letters read better than black ones


def draw(table: pd.DataFrame, path: Path, dpi: int, title: str) -> None:
    """Draw how each true class was predicted: the share of its utterances, and their number below.

    Args:
        table: with ``truth`` and ``prediction``, a row per utterance
        path: of the PNG
        dpi: dots per inch
        title: of the picture
    """
    counts = confusion(table)
    labels, shares = list(counts), counts.div(counts.sum(axis=1).clip(lower=1), axis=0).to_numpy()
    with figure(path, 1, dpi, size=max(3.2, 0.65 * len(labels))) as (drawn, (axes,)):
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(shares):
            text, colour = f"{share:.2f}\n{counts.iloc[row, column]}", "w" if share > DARK else "k"
            axes.text(column, row, text, ha="center", va="center", size=SMALL, color=colour)
        axes.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(labels)), labels)
        axes.set(title=title, xlabel="predicted", ylabel="true")
        axes.spines[:].set_visible(False)
        drawn.colorbar(image, ax=axes, shrink=0.8, label="share of the true class")
