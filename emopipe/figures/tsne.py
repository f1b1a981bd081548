"""t-SNE: which utterances the model takes to be alike, and whether they share an emotion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from emopipe.figures.style import class_styles, figure

LEAST = 10  # different points below which neighbourhoods mean nothing
MOST = 1000  # points, taken at even distances: more hide one another
PERPLEXITY = 30  # of few points a third of their number, above which t-SNE has no neighbours to weigh
SEED = 0


def embed(rows: pd.DataFrame, vectors: np.ndarray) -> pd.DataFrame:
    """Lay out utterances in two dimensions so that neighbours stay neighbours.

    van der Maaten & Hinton, "Visualizing data using t-SNE", JMLR 9, 2008.

    Args:
        rows: with ``utterance`` and ``emotion``
        vectors: [rows, dimensions]

    Returns:
        ``utterance``, ``x``, ``y`` and ``emotion`` of up to 1000 rows; no row where too few points differ
    """
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), MOST)).round().astype(int))
    rows, vectors = rows.iloc[chosen], np.asarray(vectors, dtype=np.float64)[chosen]
    if not len(rows) or len(np.unique(vectors, axis=0)) < LEAST:
        return pd.DataFrame(columns=["utterance", "x", "y", "emotion"])
    from sklearn.manifold import TSNE  # here: nothing else needs it

    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    with threadpool_limits(1):  # threads add up in any order, and what t-SNE makes of the last bits is another picture
        points = TSNE(perplexity=perplexity, init="pca", random_state=SEED, n_jobs=1).fit_transform(vectors)
    return pd.DataFrame(
        {"utterance": rows["utterance"].array, "x": points[:, 0], "y": points[:, 1], "emotion": rows["emotion"].array}
    )


def draw(table: pd.DataFrame, path: Path, dpi: int, title: str) -> None:
    """Draw a point per utterance, colour and marker by its true emotion.

    Args:
        table: of :func:`embed`
        path: of the PNG
        dpi: dots per inch
        title: of the picture
    """
    with figure(path, 1, dpi) as (drawn, (axes,)):
        for label, style in class_styles(table["emotion"]).items():
            own = table[table["emotion"] == label]
            axes.scatter(own["x"], own["y"], s=9, linewidths=0.2, edgecolors="w", label=label, **style)
        axes.set(title=title, xticks=[], yticks=[])  # the axes of t-SNE have no unit and no meaning
        axes.spines[:].set_visible(False)
        drawn.legend(loc="outside lower center", ncols=4, markerscale=1.6, handletextpad=0.1, columnspacing=0.9)
