"""The trained models beside what they have to beat."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from emopipe.figures.style import MODELS, figure

APART = 0.22  # between the models of one target, where targets are 1 apart


def draw(table: pd.DataFrame, path: Path, dpi: int) -> None:
    """Draw a panel per score: a row per target, a marker with its 95 % interval per model.

    Args:
        table: with ``target``, ``score``, ``model``, ``value``, ``low`` and ``high``; NaN where there is no interval;
            of a target's models the one on top comes first
        path: of the PNG
        dpi: dots per inch
    """
    scores = list(dict.fromkeys(table["score"]))
    models = [model for model in MODELS if model in set(table["model"])]
    with figure(path, len(scores), dpi) as (drawn, axes):
        for panel, score in zip(axes, scores, strict=True):
            own = table[table["score"] == score]
            targets = list(dict.fromkeys(own["target"]))
            number, together = pd.factorize(own["target"])[0], own.groupby("target", sort=False)["model"]
            own = own.assign(height=number + APART * (together.cumcount() - (together.transform("size") - 1) / 2))
            for model in models:
                rows, style = own[own["model"] == model], MODELS[model]
                panel.hlines(rows["height"], rows["low"], rows["high"], color=style["color"], linewidth=1.3)
                panel.plot(rows["value"], rows["height"], linestyle="", markersize=5, label=model, **style)
            panel.set_yticks(range(len(targets)), targets)
            panel.set_ylim(len(targets) - 0.5, -0.5)
            left = min(0, own["value"].min() - 0.03, own["low"].min() - 0.03)
            panel.set(title=score, xlabel="score and 95 % interval", xlim=(left, 1.03))
        drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(models))
