"""Risk and coverage: how many answers are wrong, if those that are least certain are left out?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emopipe.figures.style import COLOURS, figure

COLUMNS = ["coverage", "risk"]


def draw(table: pd.DataFrame, path: Path, dpi: int, selection: dict[str, Any]) -> None:
    """Draw the share of wrong answers against the share of answers that are given.

    El-Yaniv & Wiener, "On the foundations of noise-free selective classification", JMLR 11, 2010.

    Args:
        table: with ``COLUMNS``, from few answers to all
        path: of the PNG
        dpi: dots per inch
        selection: of :func:`emopipe.scoring.statistics.selection`: ``aurc``, and what the thresholds of dev give
    """
    coverage, everything = table["coverage"].to_numpy(), table["risk"].iloc[-1]
    perfect = np.maximum(0, 1 - (1 - everything) / coverage)
    with figure(path, 1, dpi) as (drawn, (axes,)):
        axes.axhline(everything, color="0.5", linestyle=":", label="in any order")
        axes.plot(coverage, perfect, color="0.6", linewidth=0.8, label="wrong answers last")
        axes.plot(coverage, table["risk"], color=COLOURS[0], label="by confidence")
        points = [found for found in selection["answered"].values() if found["accuracy"] is not None]
        axes.plot(
            [found["covered"] for found in points], [1 - found["accuracy"] for found in points],
            color=COLOURS[4], marker="o", linestyle="", markersize=4, label="thresholds of dev",
        )  # fmt: skip
        axes.set(title=f"audio: area {selection['aurc']:.3f}", xlabel="share of answers that are given")
        axes.set(ylabel="share of these that are wrong", xlim=(0, 1.02), ylim=(-0.01, None))
        drawn.legend(loc="outside lower center", ncols=2)
