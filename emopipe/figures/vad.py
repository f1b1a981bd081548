"""Distribution of valence, arousal and dominance, predicted against rated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from emopipe.figures.style import MODELS, figure
from emopipe.results.scores import LABELS
from emopipe.schemas.manifest import DIMENSIONS

BINS = np.linspace(1, 5, 33)
TRUTH = "truth"
LINES = {"trained": "-", "zero_shot": "--", "nli": ":"}  # by model


def histogram(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return how often each value occurs; what lies off the scale counts as its end.

    Args:
        predictions: of one branch, with ``model``, ``dimension``, ``truth`` and ``prediction``; what is not rated does
            not count

    Returns:
        ``centre`` of each of 32 bins from 1 to 5, and a density for every dimension, of ratings (``valence_truth``) and
        of models (``valence_trained``, ``valence_zero_shot``, ``valence_nli``), NaN where there is none; no row without
        rated utterances
    """
    names = ["centre", *(f"{name}_{source}" for name in DIMENSIONS for source in (TRUTH, *LINES))]
    rated = predictions[predictions["truth"].notna() & predictions["model"].isin(LINES)]
    densities = {}
    for (dimension, model), own in rated.groupby(["dimension", "model"]):
        densities[f"{dimension}_{model}"] = _density(own["prediction"])
        densities[f"{dimension}_{TRUTH}"] = _density(own["truth"])  # every model's are the same
    centres = (BINS[:-1] + BINS[1:]) / 2 if densities else []
    return pd.DataFrame({"centre": centres, **densities}).reindex(columns=names)


def _density(values: pd.Series) -> np.ndarray:
    return np.histogram(values.clip(BINS[0], BINS[-1]), BINS, density=True)[0]


def draw(table: pd.DataFrame, path: Path, dpi: int) -> None:
    """Draw a panel per predicted dimension: ratings filled, models as outlines.

    Args:
        table: of :func:`histogram`
        path: of the PNG
        dpi: dots per inch
    """
    known = table.dropna(axis=1, how="all")
    dimensions = [name for name in DIMENSIONS if f"{name}_{TRUTH}" in known]
    with figure(path, len(dimensions), dpi) as (drawn, axes):
        for panel, name in zip(axes, dimensions, strict=True):
            panel.stairs(known[f"{name}_{TRUTH}"], BINS, fill=True, color="0.8", label="rated")
            for model, line in LINES.items():
                if (column := f"{name}_{model}") in known:
                    look = {"color": MODELS[LABELS[model]]["color"], "linestyle": line, "label": LABELS[model]}
                    panel.stairs(known[column], BINS, linewidth=1.3, **look)
            panel.set(title=name, xlabel="scale of 1 to 5", yticks=[])
            panel.spines["left"].set_visible(False)
        axes[0].set_ylabel("density")
        drawn.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(LINES) + 1)
