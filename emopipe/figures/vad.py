"""Distribution of valence, arousal and dominance, predicted against gold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from emopipe.figures.style import MODELS, figure
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.predictions import NLI, PREDICTED, ZERO_SHOT

BINS = np.linspace(1, 5, 33)
KINDS = ("", PREDICTED, ZERO_SHOT, NLI)  # suffixes of the columns
LINES = {PREDICTED: ("fine-tuned", "-"), ZERO_SHOT: ("zero-shot", "--"), NLI: ("zero-shot NLI", ":")}


def histogram(ratings: pd.DataFrame) -> pd.DataFrame:
    """Return how often each value occurs; what lies off the scale counts as its end.

    Args:
        ratings: predictions of utterances whose VAD is known

    Returns:
        ``centre`` of each of 32 bins from 1 to 5, and the density of gold, fine-tuned and of both kinds of zero-shot of
        every dimension under the names the columns have in ``ratings``, NaN where there is none; no row without
        utterances
    """
    names = [f"{name}{suffix}" for name in DIMENSIONS for suffix in KINDS]
    if ratings.empty:
        return pd.DataFrame(columns=["centre", *names])
    values = ratings.reindex(columns=names).dropna(axis=1, how="all").clip(BINS[0], BINS[-1])
    densities = {name: np.histogram(values[name], BINS, density=True)[0] for name in values}
    table = pd.DataFrame({"centre": (BINS[:-1] + BINS[1:]) / 2, **densities})
    return table.reindex(columns=["centre", *names])


def draw(table: pd.DataFrame, path: Path, dpi: int) -> None:
    """Draw a panel per predicted dimension: gold filled, fine-tuned and, where there is one, zero-shot as outlines.

    Args:
        table: of :func:`histogram`
        path: of the PNG
        dpi: dots per inch
    """
    known = table.dropna(axis=1, how="all")
    dimensions = [name for name in DIMENSIONS if name in known]
    with figure(path, len(dimensions), dpi) as (drawn, axes):
        for panel, name in zip(axes, dimensions, strict=True):
            panel.stairs(known[name], BINS, fill=True, color="0.8", label="gold")
            for suffix, (label, line) in LINES.items():
                if f"{name}{suffix}" in known:
                    colour = MODELS[label]["color"]
                    density = known[f"{name}{suffix}"]
                    panel.stairs(density, BINS, color=colour, linestyle=line, linewidth=1.3, label=label)
            panel.set(title=name, xlabel="scale of 1 to 5", yticks=[])
            panel.spines["left"].set_visible(False)
        axes[0].set_ylabel("density")
        drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(KINDS))
