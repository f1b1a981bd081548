"""One visual style: readable at the width of a journal column, safe for colour-blind eyes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from emopipe.io.outputs import atomic_write

# Okabe and Ito, "Color Universal Design", 2008: distinct for all common forms of colour vision.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v")  # five and eight have no common factor: 40 pairs before one comes again

MODELS = {  # by label, the same everywhere: ours, then what it has to beat
    "trained": {"color": COLOURS[0], "marker": "o"},
    "text only": {"color": COLOURS[2], "marker": "<"},
    "audio only": {"color": COLOURS[3], "marker": ">"},
    "zero-shot": {"color": COLOURS[1], "marker": "s"},
    "zero-shot NLI": {"color": COLOURS[2], "marker": "^"},
    "majority": {"color": "0.45", "marker": "D"},
    "mean": {"color": "0.45", "marker": "v"},
}

SMALL = 6.5  # pt, the smallest type
SETTINGS = {
    "axes.prop_cycle": mpl.cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "figure.constrained_layout.use": True,
    "font.size": 8,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "text.parse_math": False,  # a dollar in a speaker's name is a dollar
}


def class_styles(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return colour and marker of each class, in the order of the alphabet; up to 40 differ.

    >>> class_styles(["fear", "anger"])["anger"]
    {'color': '#0072B2', 'marker': 'o'}
    """
    return {
        label: {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
        for i, label in enumerate(sorted(set(labels)))
    }


@contextmanager
def figure(
    path: Path, columns: int, dpi: int, size: float = 3.2, **layout: Any
) -> Iterator[tuple[Figure, list[plt.Axes]]]:
    """Open a figure with panels side by side, or as ``layout`` has it, and save it as PNG.

    Args:
        path: where to save it
        columns: number of panels
        dpi: dots per inch
        size: width of a panel in inches; height is 7/8 of it
        layout: other arguments of ``matplotlib.pyplot.subplots``
    """
    arranged = {"nrows": 1, "ncols": columns, "figsize": (columns * size, size * 7 / 8)} | layout
    with plt.rc_context(SETTINGS):
        drawn, axes = plt.subplots(**arranged, squeeze=False)
        yield drawn, list(axes.flat)
        with atomic_write(path) as part:  # no version: the same data, the same bytes
            drawn.savefig(part, dpi=dpi, format="png", metadata={"Software": None})
        plt.close(drawn)
