"""Timeline: the waveform of a recording, and the predictions for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from emopipe.figures.style import COLOURS, class_styles, figure
from emopipe.schemas.manifest import DIMENSIONS

WIDTH, HEIGHT = 9.0, 3.2  # inches
BINS = 2000  # of the waveform: more than there are dots


def draw(rows: Sequence[Mapping[str, Any]], envelope: np.ndarray, seconds: float, path: Path, dpi: int) -> None:
    """Draw the waveform, and below it the answers over time: emotions as high as they are certain, or the dimensions.

    Args:
        rows: answers to the segments, with start and end in seconds; what has no answer is left white
        envelope: lowest and highest sample of equal parts of the recording, full scale ±1, [parts, 2]
        seconds: length of the recording
        path: of the PNG
        dpi: dots per inch
    """
    layout = {"figsize": (WIDTH, HEIGHT), "height_ratios": (2, 3), "sharex": True}
    answered = [row for row in rows if row["spread"] is not None]
    with figure(path, 1, dpi, nrows=2, **layout) as (drawn, (wave, answers)):
        places = np.linspace(0, seconds, len(envelope) + 1)
        edges = np.vstack([envelope, envelope[-1:]])
        wave.fill_between(places, edges[:, 0], edges[:, 1], step="post", color="0.35", linewidth=0)
        wave.set(xlim=(0, seconds), yticks=[], ylabel="sound")
        wave.spines["left"].set_visible(False)
        rated = answered and "emotion" not in answered[0]
        legend = _dimensions(answers, answered) if rated else _emotions(answers, answered, wave)
        answers.set_xlabel("time")
        answers.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
        if legend:
            drawn.legend(handles=legend, loc="outside right center")


def _emotions(axes: Any, answered: Sequence[Mapping[str, Any]], wave: Any) -> list[Patch]:
    styles = class_styles(row["emotion"] for row in answered if row["emotion"] is not None)
    if any(row["emotion"] is None for row in answered):
        styles["abstained"] = {"color": "0.6"}
    for row in answered:
        colour = styles[row["emotion"] or "abstained"]["color"]
        wave.axvspan(row["start"], row["end"], color=colour, alpha=0.25, linewidth=0)
        axes.fill_between((row["start"], row["end"]), row["confidence"], color=colour, alpha=0.7, linewidth=0)
    axes.set(ylim=(0, 1.03), ylabel="confidence")
    return [Patch(color=style["color"], alpha=0.7, label=label) for label, style in styles.items()]


def _dimensions(axes: Any, answered: Sequence[Mapping[str, Any]]) -> list[Line2D]:
    names = [name for name in DIMENSIONS if name in answered[0]]
    for name, colour in zip(names, COLOURS, strict=False):
        for row in answered:
            axes.plot((row["start"], row["end"]), (row[name], row[name]), color=colour, linewidth=2)
    axes.axhline(3, color="0.8", linewidth=0.8, zorder=0)
    axes.set(ylim=(0.9, 5.1), yticks=range(1, 6), ylabel="rating")
    return [Line2D([], [], color=colour, label=name) for name, colour in zip(names, COLOURS, strict=False)]


def clock(seconds: float) -> str:
    """Return a time as it stands below the axis.

    >>> clock(7.5), clock(83), clock(3723)
    ('0:07.5', '1:23', '1:02:03')
    """
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{rest:02.0f}" if abs(rest - round(rest)) < 0.05 else f"{rest:04.1f}"
    return f"{hours}:{minutes:02}:{shown}" if hours else f"{minutes}:{shown}"
