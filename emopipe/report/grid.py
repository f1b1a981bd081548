"""The first table of the report: the headline scores, each drawn with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from emopipe.report.formatting import interval, score
from emopipe.results.scores import CONSTANT, LABELS


@dataclass(frozen=True)
class GridCell:
    """A score and where it is drawn: positions are per cent of the axis, None where there is nothing to draw."""

    value: str
    at: float | None
    low: float | None
    high: float | None
    described: str  # of the drawing, for those who do not see it


@dataclass(frozen=True)
class GridRow:
    """A row of the grid: one target and score."""

    target: str
    score: str
    first: bool  # of this target
    reference: float | None  # position of the model that always answers the same
    cells: list[GridCell | None]  # by column; None where there is no such model


@dataclass(frozen=True)
class Grid:
    """The first table of the report: a row per target and score, a column per model."""

    columns: list[str]
    rows: list[GridRow]
    floors: dict[str, float]  # by score: where its axes begin; they end at 1


def grid_of(table: pd.DataFrame) -> Grid:
    """Return the headline scores, a column per model; majority and mean share the last one.

    Args:
        table: of :func:`emopipe.results.scores.headline`
    """
    used = set(table["model"])
    constant = " or ".join(name for name in CONSTANT if name in used)
    columns = [label for label in LABELS.values() if label in used and label not in CONSTANT]
    columns += [constant] if constant else []
    lowest = table.groupby("score", sort=False)[["value", "low"]].min().min(axis=1)
    floors = {name: min(0.0, math.floor(round(10 * value, 6)) / 10) for name, value in lowest.items()}
    found: list[GridRow] = []
    for (target, name), own in table.groupby(["target", "score"], sort=False):
        by_model = {constant if row.model in CONSTANT else row.model: row for row in own.itertuples()}
        cells = [_cell(row, floors[name]) if (row := by_model.get(column)) else None for column in columns]
        reference = cells[-1].at if constant and cells[-1] else None
        first = not found or found[-1].target != target
        found.append(GridRow(target, name, first, reference, cells))
    return Grid(columns, found, floors)


def _cell(row: Any, floor: float) -> GridCell:
    at, low, high = (
        None if math.isnan(value) else round(100 * (min(value, 1.0) - floor) / (1 - floor), 1)
        for value in (row.value, row.low, row.high)
    )
    limits = interval({"low": row.low, "high": row.high})
    described = f"95 % interval {limits}" if low is not None else "no interval"
    described += f": {row.note}" if row.note else ""
    return GridCell(score(row.value), at, low, high, described)
