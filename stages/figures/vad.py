"""Distribution of valence, arousal and dominance, predicted against gold."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from stages.contracts.manifest import DIMENSIONS
from stages.contracts.predictions import PREDICTED, ZERO_SHOT
from stages.figures.style import figure

BINS = np.linspace(1, 5, 33)


def draw(table: pd.DataFrame, path: Path, dpi: int) -> None:
    """Draw a panel per dimension: gold filled, fine-tuned and zero-shot as outlines.

    Args:
        table: text predictions of utterances whose VAD is known
        path: of the PNG
        dpi: dots per inch
    """
    with figure(path, len(DIMENSIONS), dpi) as (_, axes):
        for panel, name in zip(axes, DIMENSIONS, strict=True):
            panel.hist(table[name], BINS, density=True, color="0.8", label="gold")
            for suffix, label, colour in ((PREDICTED, "fine-tuned", "C0"), (ZERO_SHOT, "zero-shot", "C1")):
                values = table[f"{name}{suffix}"].clip(BINS[0], BINS[-1])
                panel.hist(values, BINS, density=True, histtype="step", color=colour, linewidth=1.3, label=label)
            panel.set(title=name, xlabel="scale of 1 to 5", yticks=[])
            panel.spines["left"].set_visible(False)
        axes[0].legend()
