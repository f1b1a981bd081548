"""Distribution of valence, arousal and dominance, predicted against gold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from stages.contracts.manifest import DIMENSIONS
from stages.contracts.predictions import PREDICTED, ZERO_SHOT
from stages.figures.style import MODELS, figure

BINS = np.linspace(1, 5, 33)
KINDS = {"": "gold", PREDICTED: "fine-tuned", ZERO_SHOT: "zero-shot"}  # column suffix → what it is called


def histogram(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return how often each value occurs; what lies off the scale counts as its end.

    Args:
        ratings: text predictions of utterances whose VAD is known

    Returns:
        ``centre`` of each of 32 bins from 1 to 5, and the density of gold, fine-tuned and zero-shot under the names
        the columns have in ``ratings``; no row without utterances
    """
    names = [f"{name}{suffix}" for name in DIMENSIONS for suffix in KINDS]
    if ratings.empty:
        return pd.DataFrame(columns=["centre", *names])
    densities = {name: np.histogram(ratings[name].clip(BINS[0], BINS[-1]), BINS, density=True)[0] for name in names}
    return pd.DataFrame({"centre": (BINS[:-1] + BINS[1:]) / 2, **densities})


def draw(table: pd.DataFrame, path: Path, dpi: int) -> None:
    """Draw a panel per dimension: gold filled, fine-tuned and zero-shot as outlines.

    Args:
        table: of :func:`histogram`
        path: of the PNG
        dpi: dots per inch
    """
    with figure(path, len(DIMENSIONS), dpi) as (drawn, axes):
        for panel, name in zip(axes, DIMENSIONS, strict=True):
            panel.stairs(table[name], BINS, fill=True, color="0.8", label="gold")
            for (suffix, label), line in zip(list(KINDS.items())[1:], ("-", "--"), strict=True):
                colour = MODELS[label]["color"]
                panel.stairs(table[f"{name}{suffix}"], BINS, color=colour, linestyle=line, linewidth=1.3, label=label)
            panel.set(title=name, xlabel="scale of 1 to 5", yticks=[])
            panel.spines["left"].set_visible(False)
        axes[0].set_ylabel("density")
        drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(KINDS))
