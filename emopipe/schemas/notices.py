"""Notices: what a stage was given and did not use, or used in another way than it stands there.

Nothing of that kind is silent. It is printed where it happens, kept in a table beside the stage's outputs, and shown in
the report: who publishes a number can say what it was counted on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import Field

from emopipe.schemas import tables
from emopipe.schemas.tables import Row

FETCH = Path("data/notices/fetch.csv")
SPLIT = Path("data/notices/split.csv")
ENCODE = Path("data/notices/encode.csv")
TEXT = Path("data/notices/finetune_text.csv")
LEFT_OUT = "left out: "  # how the commonest kind of notice begins


class Notice(Row):
    """So many of something, and what about them."""

    source: Annotated[str, Field(min_length=1)]  # a corpus, a table or a branch
    number: Annotated[int, Field(ge=1)]
    total: Annotated[int, Field(ge=0)]  # of how many; 0: unknown
    unit: Annotated[str, Field(min_length=1)]  # files, utterances, ...
    what: Annotated[str, Field(min_length=1)]  # "left out: not named like 03a01Fa.wav"
    first: str = ""  # an example


_collected: ContextVar[list[Notice] | None] = ContextVar("notices", default=None)


def notice(source: str, number: int, unit: str, what: str, total: int = 0, first: object = "") -> None:
    """Say something, if it is about one thing or more, and keep it for the table of the stage that runs."""
    if not number:
        return
    one = Notice(source=source, number=number, total=total, unit=unit, what=what, first=_printable(str(first)))
    print(f"{source}: {_sentence(one)}" + (f"; the first: {one.first}" if one.first else ""))
    if (kept := _collected.get()) is not None:
        kept.append(one)


@contextmanager
def collected(path: Path) -> Iterator[None]:
    """Write the notices of the block as a table, when it has succeeded.

    Raises:
        UserError: if the table cannot be written
    """
    kept: list[Notice] = []
    token = _collected.set(kept)
    try:
        yield
    finally:
        _collected.reset(token)
    rows = pd.DataFrame([one.model_dump() for one in kept], columns=list(Notice.model_fields))
    tables.write(rows, path, Notice)


def read() -> pd.DataFrame:
    """Return the notices of all stages, with a column ``stage``."""
    parts = {path.stem: path for path in (FETCH, SPLIT, ENCODE, TEXT)}
    return pd.concat([tables.read(path, Notice).assign(stage=stage) for stage, path in parts.items()])


def _sentence(one: Notice) -> str:
    """Return a notice in words.

    >>> _sentence(Notice(source="a", number=1, total=0, unit="files", what="left out: not named so"))
    'left out 1 file: not named so'
    """
    counted = f"{one.number:,} of {one.total:,} {one.unit}" if one.total else f"{one.number:,} {one.unit}"
    if one.number == 1 and not one.total:
        counted = counted.removesuffix("s")
    left_out, found, why = one.what.partition(LEFT_OUT)
    return f"left out {counted}: {why}" if found and not left_out else f"{counted} {one.what}"


def _printable(name: str) -> str:
    r"""Return a file's name with the bytes that are not UTF-8 written as escapes.

    >>> _printable(b"Gr\xf6\xdfe.wav".decode(errors="surrogateescape"))
    'Gr\\udcf6\\udcdfe.wav'
    """
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
