"""The runs of a sweep, from the words behind ``-S``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from emopipe.io.errors import UserError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

LONGEST = 80  # characters of a name


class Run(NamedTuple):
    """One run of a sweep."""

    name: str  # of the experiment
    overrides: tuple[str, ...]  # as behind -S
    stages: tuple[str, ...] = ()  # and those they need; empty: all, and the run ends as an experiment


def parsed(words: Sequence[str]) -> list[Override]:
    """Return what stands behind ``-S`` as Hydra reads it, whose grammar DVC takes.

    Raises:
        UserError: naming the word that is none, or a key that stands twice
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser, found = OverridesParser.create(), {}
    for word in words:
        try:
            override = parser.parse_override(word)
        except HydraException as error:
            raise UserError(f"-S {word}: {str(error).splitlines()[0]}; docs/experiments.md shows the quotes") from None
        if override.key_or_group in found:
            raise UserError(f"-S {override.key_or_group}: stands twice")
        found[override.key_or_group] = override
    return list(found.values())


def expand(sweep: str, words: Sequence[str]) -> list[Run]:
    """Return the runs of a grid: every combination of the values of the keys that have several.

    Args:
        sweep: its name, with which the names of the runs begin
        words: as behind ``-S``, in the grammar of ``dvc exp run``: ``key=1,2``, ``key=range(0,5)``, ``key=choice(a,b)``

    Raises:
        UserError: if a word is none, or gives an interval, which has no end of values
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

    overrides = parsed(words)
    for override in overrides:
        if override.is_interval_sweep():
            raise UserError(f"-S {override.input_line}: an interval is searched, not gone through; add --search")
    combinations = BasicSweeper.split_arguments(overrides, None)[0]
    keys = [override.key_or_group for override in overrides if override.is_sweep_override()]
    return named(sweep, combinations, keys)


def named(sweep: str, combinations: Sequence[Sequence[str]], keys: Sequence[str]) -> list[Run]:
    """Return runs with names that tell the values of some keys, and that differ."""
    names = ["-".join([sweep, *_parts(overrides, keys)]) for overrides in combinations]
    clear = len(set(names)) == len(names) and max(map(len, names), default=0) <= LONGEST
    if not clear:
        digests = [sha256("\0".join(overrides).encode()).hexdigest()[:8] for overrides in combinations]
        names = [f"{sweep}-{digest}" for digest in digests]
    return [Run(name, tuple(overrides)) for name, overrides in zip(names, combinations, strict=True)]


def _parts(overrides: Sequence[str], keys: Sequence[str]) -> list[str]:
    values = dict(override.split("=", 1) for override in overrides)
    return [f"{key.rpartition('.')[2]}-{_word(values[key])}" for key in keys]


def _word(value: str) -> str:
    """Return the last part of a path, in letters that a name may have."""
    last = value.strip("'\"").rstrip("/").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9_]+", "-", last.replace(".", "_")).strip("-") or "none"
