"""The tests of trust as tables, as stages write them and the report reads them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas.tables import write_csv

MEASURES, SHORTCUTS = Path("data/shortcuts/measures.csv"), Path("data/shortcuts/shortcuts.csv")
ASSOCIATIONS = Path("data/shortcuts/associations.csv")
FAIRNESS = Path("data/fairness.csv")
FORMAT = "%.6g"


def write(rows: Sequence[NamedTuple], kind: type[NamedTuple], path: Path) -> None:
    """Write named tuples of a kind as CSV, with the header where there are none."""
    write_csv(pd.DataFrame(rows, columns=list(kind._fields)), path, FORMAT)


def read(path: Path, stage: str) -> pd.DataFrame:
    """Read a table; a number that is not defined is NaN, a text that is not there is empty, ``passed`` is 1 or 0.

    Raises:
        UserError: if it is absent
    """
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `dvc repro {stage}`") from None
    texts = table.columns.intersection(["note", "subject", "group", "corpus", "branch"])
    numbers = table.columns.intersection(["passed"])
    return table.astype(dict.fromkeys(numbers, float)).assign(
        **{name: table[name].astype(object).fillna("").astype(str) for name in texts}
    )
