"""The runs of a sweep, from the words behind ``-S``."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from emopipe.io.errors import UserError

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

LONGEST, DIGITS = 80, 8  # characters of a name, and of a digest in it


class Run(NamedTuple):
    """One run of a sweep."""

    name: str  # of the experiment
    overrides: tuple[str, ...]  # as behind -S
    stages: tuple[str, ...] = ()  # and those they need; empty: all, and the run ends as an experiment


def experiment_reference(commit: str, name: str) -> str:
    """Return the Git reference of an experiment of a commit, where DVC keeps it; without a name, of them all."""
    return f"refs/exps/{commit[:2]}/{commit[2:]}/{name}".rstrip("/")


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
            if override.is_discrete_sweep() and not values(override):
                raise UserError(f"-S {word}: holds no value")
        except HydraException as error:  # of a word that is none; of glob(), which only files of Hydra's have
            raise UserError(f"-S {word}: {str(error).splitlines()[0]}; docs/experiments.md shows the quotes") from None
        if override.package is not None:
            raise UserError(f"-S {word}: params.yaml has no key with an @")
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
    overrides = parsed(words)
    for override in overrides:
        if override.is_interval_sweep():
            raise UserError(f"-S {override.input_line}: an interval is searched, not gone through; add --search")
    keys = [override.key_or_group for override in overrides if override.is_sweep_override()]
    changes = [[f"{override.get_key_element()}={value}" for value in values(override)] for override in overrides]
    return named(sweep, list(itertools.product(*changes)), keys)


def values(override: Override) -> list[str]:
    """Return the values of a key, each of them once, as they stand behind ``-S``."""
    found = override.sweep_iterator(_text) if override.is_discrete_sweep() else [_text(override.value())]
    return list(dict.fromkeys(found))


def _text(value: Any) -> str:
    """Return a value as Hydra reads it; its functions, such as ``choice``, drop the quotes that some texts need."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Override, Quote, QuotedString
    from hydra.errors import HydraException

    text = Override._get_value_element_as_str(value)
    if isinstance(value, str):
        with suppress(HydraException):
            if OverridesParser.create().parse_override(f"key={text}").value() == value:
                return text
        return QuotedString(value, Quote.double).with_quotes()
    return text


def key_of(override: str) -> str:
    """Return the key of a parameter that is changed (``a.b=1``), added (``+a.b=1``), either (``++``) or removed."""
    return override.partition("=")[0].lstrip("+~")


def named(sweep: str, combinations: Sequence[Sequence[str]], keys: Sequence[str]) -> list[Run]:
    """Return runs with names that tell the values of some keys; one that is long, or not the only one, gets a digest.

    Names that differ in small and capital letters alone are not told apart: some disks do not.
    """
    names = ["-".join([sweep, *_parts(overrides, keys)]) for overrides in combinations]
    count = Counter(name.lower() for name in names)
    runs = []
    for name, overrides in zip(names, combinations, strict=True):
        if len(name) > LONGEST or count[name.lower()] > 1:
            digest = sha256("\0".join(overrides).encode()).hexdigest()[:DIGITS]
            name = f"{name[: LONGEST - DIGITS - 1].rstrip('-')}-{digest}"
        runs.append(Run(name, tuple(overrides)))
    return runs


def _parts(overrides: Sequence[str], keys: Sequence[str]) -> list[str]:
    values = {key_of(override): override.partition("=")[2] for override in overrides}
    return [f"{_word(key.rpartition('.')[2])}-{_word(values[key])}" for key in keys]


def _word(value: str) -> str:
    """Return the last part of a path, in letters that a name may have."""
    last = value.strip("'\"").rstrip("/").rpartition("/")[2]
    return re.sub(r"[^A-Za-z0-9_]+", "-", last.replace(".", "_")).strip("-") or "none"
