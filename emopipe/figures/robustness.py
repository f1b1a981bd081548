"""What each condition changes: the score, with its interval, beside that of the clean test set."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emopipe.figures.style import COLOURS, SMALL, figure

OUTCOMES = {True: (COLOURS[0], "passed"), False: (COLOURS[4], "not passed"), None: ("0.55", "no threshold published")}
LINE = 0.16  # inches a condition takes


def draw(table: pd.DataFrame, path: Path, dpi: int, clean: float, score: str) -> None:
    """Draw the score under each condition, with the interval of its change, beside a line for the clean test set.

    Args:
        table: of :func:`emopipe.results.robustness.table`
        path: of the PNG
        dpi: dots per inch
        clean: the score of the clean test set
        score: its name
    """
    with figure(path, 1, dpi, figsize=(4.6, 1.0 + LINE * len(table))) as (drawn, (axes,)):
        axes.axvline(clean, color="0.3", linestyle="--", linewidth=0.8, label="clean")
        for passed, (colour, label) in OUTCOMES.items():
            own = table[[value is passed for value in table["passed"]]]
            if len(own):
                axes.hlines(own.index, clean + own["low"], clean + own["high"], color=colour, linewidth=1.0)
                axes.plot(own["score"], own.index, "o", markersize=3, color=colour, label=label)
        axes.set_yticks(range(len(table)), list(table["name"]), size=SMALL)
        axes.set(xlabel=score, ylim=(len(table) - 0.5, -0.5))
        drawn.legend(loc="outside lower center", ncols=4)
