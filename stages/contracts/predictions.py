"""The tables of data/predictions: what the models say of the test set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from stages.contracts.errors import UserError
from stages.contracts.manifest import DIMENSIONS
from stages.contracts.tables import read_cells

AUDIO = Path("data/predictions/audio.csv")
TEXT = Path("data/predictions/text.csv")

PROBABILITY = "p_"  # and the class
AUDIO_COLUMNS = ("utterance", "speaker", "truth", "prediction", "zero_shot")
PREDICTED, ZERO_SHOT = "_predicted", "_zero_shot"
TEXT_COLUMNS = (
    "utterance",
    *DIMENSIONS,
    *(f"{name}{kind}" for kind in (PREDICTED, ZERO_SHOT) for name in DIMENSIONS),
    "emotion",
    f"emotion{PREDICTED}",
    f"emotion{ZERO_SHOT}",
)


def audio_table(
    rows: pd.DataFrame, probabilities: np.ndarray, zero_shot: np.ndarray | None, labels: Sequence[str]
) -> pd.DataFrame:
    """Return ``AUDIO_COLUMNS`` and one probability column ``p_LABEL`` per class.

    Args:
        rows: of the audio split
        probabilities: [rows, classes]
        zero_shot: those of the zero-shot baseline, [rows, classes]; None: there is none
        labels: names of the classes
    """
    names = np.asarray(labels, dtype=object)
    table = rows[["utterance", "speaker"]].assign(
        truth=rows["emotion"],
        prediction=names[probabilities.argmax(1)],
        zero_shot="" if zero_shot is None else names[zero_shot.argmax(1)],
    )
    return table.assign(**{f"{PROBABILITY}{label}": probabilities[:, i] for i, label in enumerate(labels)})


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table of predictions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, lineterminator="\n")


def read_audio(path: Path = AUDIO) -> pd.DataFrame:
    """Read the audio predictions; probabilities are numbers."""
    table = _read(path, AUDIO_COLUMNS)
    return table.astype({name: float for name in table.columns if name.startswith(PROBABILITY)})


def read_text(path: Path = TEXT) -> pd.DataFrame:
    """Read the text predictions; what is not known or was not predicted is NaN, an emotion empty."""
    table = _read(path, TEXT_COLUMNS)
    numbers = [name for name in table.columns if name.startswith((*DIMENSIONS, PROBABILITY))]
    return table.assign(**{name: pd.to_numeric(table[name].replace("", np.nan)) for name in numbers})


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    table = read_cells(path)
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise UserError(f"{path}: column(s) {', '.join(missing)} missing; run `dvc repro evaluate`")
    return table
