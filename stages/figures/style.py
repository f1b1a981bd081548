"""One visual style: readable at the width of a journal column, safe for colour-blind eyes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

# Okabe and Ito, "Color Universal Design", 2008: distinct for all common forms of colour vision.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000")

SETTINGS = {
    "axes.prop_cycle": mpl.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.constrained_layout.use": True,
    "font.size": 8,
    "legend.frameon": False,
}


@contextmanager
def figure(path: Path, columns: int, dpi: int, size: float = 3.2) -> Iterator[tuple[Figure, list[plt.Axes]]]:
    """Open a figure with panels side by side and save it as PNG.

    Args:
        path: where to save it
        columns: number of panels
        dpi: dots per inch
        size: width of a panel in inches; height is 7/8 of it
    """
    with plt.rc_context(SETTINGS):
        drawn, axes = plt.subplots(1, columns, figsize=(columns * size, size * 7 / 8), squeeze=False)
        yield drawn, list(axes[0])
        path.parent.mkdir(parents=True, exist_ok=True)
        drawn.savefig(path, dpi=dpi, metadata={"Software": None})  # no version: the same data, the same bytes
        plt.close(drawn)
