"""A condition: what happens to a waveform, at which levels, and what its publishers demand of a model under it.

What is drawn of a condition (noise, a room, a value out of a list) depends on the seed, the condition, its level and
the name of the utterance, and on nothing else: not on the order in which utterances come, nor on their number.

One convention of levels holds for all. Full scale is ±1. A result that exceeds it is divided by its largest absolute
value, so that nothing is clipped but by a condition that clips. Silence has no level to set anything in proportion to:
what is set against the level of the speech leaves digital silence as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from emopipe.conditions.amplitude import rms
from emopipe.io.errors import UserError

Group = Literal["small changes", "noise", "codec", "room", "channel", "level", "silence", "speech"]
Settings = Mapping[str, Any]

SAMPLE_RATE = 16_000  # Hz, of every waveform that comes in or goes out


@dataclass(frozen=True)
class Condition:
    """A condition; one threshold holds for all its levels, and None says that none is published."""

    name: str
    group: Group
    description: str
    transform: Callable[..., np.ndarray]  # of samples, generator and settings; float64 [samples] in and out
    levels: Mapping[str, Settings]  # by name; of a tuple or a range, every utterance draws one value
    restores_rms: bool = False  # the result is brought back to the RMS of the input
    needs_others: bool = False  # waveforms of other speakers are mixed in
    source: str = ""  # who published it; empty where nobody tests it
    unchanged: float | None = None  # the share of unchanged answers is to exceed this
    change_uar: float | None = None  # the change of UAR is to exceed this
    change_ccc: float | None = None  # the change of CCC is to exceed this

    def apply(
        self, samples: np.ndarray, generator: np.random.Generator, level: str, others: Sequence[np.ndarray] = ()
    ) -> np.ndarray:
        """Return a waveform under the condition, float32 [samples], full scale ±1; the input stays as it is.

        Args:
            samples: 16 kHz mono, float32 [samples]
            generator: that draws what is drawn
            level: name of one
            others: waveforms of other speakers, 16 kHz mono, [samples] each; only those drawn are taken from the
                sequence, which may read them when they are needed

        Raises:
            UserError: if there is no such level, no other speaker where one is needed, or a package is missing
            ValueError: if there is no sample, one is not finite, or the array has several dimensions
        """
        if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
            raise ValueError(f"a waveform is one dimension of finite samples, not {samples.dtype} {samples.shape}")
        if level not in self.levels:
            raise UserError(f"condition {self.name}: no level {level!r}; there are {', '.join(self.levels)}")
        if self.needs_others and not len(others):
            raise UserError(f"condition {self.name}: no speech of other speakers to mix in; leave the condition out")
        settings = {key: _drawn(value, generator) for key, value in self.levels[level].items()}
        if self.needs_others:
            settings["others"] = others
        signal = samples.astype(np.float64)
        changed = self.transform(signal, generator, **settings)
        if self.restores_rms and (reached := rms(changed)):
            changed = changed * (rms(signal) / reached)
        return (changed / max(1.0, np.abs(changed).max())).astype(np.float32)


def _drawn(value: Any, generator: np.random.Generator) -> Any:
    return value[int(generator.integers(len(value)))] if isinstance(value, tuple | range) else value


def generator_of(seed: int, condition: str, level: str, utterance: str) -> np.random.Generator:
    """Return the generator of an utterance under a condition.

    >>> [int(generator_of(seed, "gain", "drawn", "corpus/utterance").integers(1000)) for seed in (1, 1, 2)]
    [629, 629, 698]
    """
    name = json.dumps([seed, condition, level, utterance]).encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name).digest(), "little"))


@contextmanager
def from_extra(extra: str) -> Iterator[None]:
    """Say of a package that is imported in the block, and that only some conditions need, how it is installed.

    Args:
        extra: of emopipe

    Raises:
        UserError: if it is not installed
    """
    try:
        yield
    except ImportError as error:
        raise UserError(
            f"no package {error.name}, which codecs, phones or rooms are made with; `pip install 'emopipe[{extra}]'`, "
            "or leave these conditions out"
        ) from None
