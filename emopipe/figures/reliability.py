"""Reliability diagram: is the model right as often as it says?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.figures.style import COLOURS, figure

COLUMNS = ["bin", "count", "confidence", "accuracy"]


def draw(table: pd.DataFrame, path: Path, dpi: int, before: pd.DataFrame, calibration: dict[str, Any]) -> None:
    """Draw accuracy against confidence, over bars of how many utterances have that confidence.

    Guo, Pleiss, Sun & Weinberger, "On calibration of modern neural networks", ICML 2017, figure 1.

    Args:
        table: with ``COLUMNS``, a row per bin that holds utterances
        path: of the PNG
        dpi: dots per inch
        before: the same before the temperature
        calibration: ``ece`` and ``ece_before`` the temperature, and the ``temperature``; None: there is none
    """
    with figure(path, 1, dpi) as (drawn, (axes,)):
        axes.bar(
            table["confidence"], table["count"] / table["count"].sum(), width=0.035, color="0.82", label="utterances"
        )
        axes.plot([0, 1], [0, 1], color="0.5", linestyle=":", label="as right as it says")
        if calibration["temperature"] is not None:
            axes.plot(before["confidence"], before["accuracy"], color="0.6", linewidth=0.8, label="before T")
        axes.plot(table["confidence"], table["accuracy"], color=COLOURS[0], marker="o", markersize=4, label="model")
        axes.set(title=f"audio: {described(calibration)}", xlabel="confidence", ylabel="accuracy; share of utterances")
        axes.set(xlim=(0, 1.03), ylim=(0, 1.03))
        drawn.legend(loc="outside lower center", ncols=2)


def described(calibration: dict[str, Any]) -> str:
    """Return the expected calibration error in words.

    >>> described({"temperature": 1.834, "ece": 0.0314, "ece_before": 0.0712})
    'ECE 0.031 (0.071 before T = 1.83)'
    >>> described({"temperature": None, "ece": 0.0712, "ece_before": 0.0712})
    'ECE 0.071 (not calibrated)'
    """
    if calibration["temperature"] is None:
        return f"ECE {calibration['ece']:.3f} (not calibrated)"
    return f"ECE {calibration['ece']:.3f} ({calibration['ece_before']:.3f} before T = {calibration['temperature']:.2f})"
