"""Unweighted average recall, speaker by speaker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.figures.style import SMALL, figure

NAMED = 20  # speakers; the names of more would not be readable
LONGEST = 18  # characters of a name


def table(groups: dict[str, dict[str, Any]]) -> pd.DataFrame:
    """Return the scores of the speakers of each branch, the best first.

    Args:
        groups: by branch; the scores of each speaker: ``uar``, ``accuracy``, ``utterances``

    Returns:
        ``name`` (of branch and speaker), ``branch``, ``speaker``, ``uar``, ``accuracy``, ``utterances``
    """
    rows = [
        {"name": f"{branch}, {speaker}", "branch": branch, "speaker": speaker, **scores}
        for branch, own in groups.items()
        for speaker, scores in own.items()
    ]
    found = pd.DataFrame(rows, columns=["name", "branch", "speaker", "uar", "accuracy", "utterances"])
    return found.sort_values(["branch", "uar", "speaker"], ascending=[True, False, True], ignore_index=True)


def draw(table: pd.DataFrame, path: Path, dpi: int) -> None:
    """Draw a panel per branch, a dot per speaker, sorted; a dashed line is the mean over speakers.

    Args:
        table: of :func:`table`
        path: of the PNG
        dpi: dots per inch
    """
    branches = list(dict.fromkeys(table["branch"]))
    with figure(path, len(branches), dpi) as (_, axes):
        for panel, branch in zip(axes, branches, strict=True):
            own = table[table["branch"] == branch]
            ranks = range(len(own))
            few = len(own) <= NAMED
            panel.hlines(ranks, 0, own["uar"], color="0.85", linewidth=1.2 if few else 0.5)
            panel.plot(own["uar"], ranks, "o", markersize=4 if few else 1.5)
            panel.axvline(own["uar"].mean(), color="0.3", linestyle="--", linewidth=0.8)
            panel.set(title=f"{branch}: UAR of {len(own)} speaker(s)", xlabel="UAR", xlim=(0, 1.03))
            panel.set_ylim(len(own) - 0.5, -0.5)  # the best on top
            if few:
                panel.set_yticks(ranks, [_short(name) for name in own["speaker"]], size=SMALL)
            else:
                panel.set(yticks=[], ylabel="speakers, the best on top")


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
