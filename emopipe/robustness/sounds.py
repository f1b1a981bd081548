"""Sounds without an emotion: what does a model answer to what is no speech?

They are made here, so that anyone has them: silence, noise, tones, chords as of music, a hum as of a machine; the test
set itself, played backwards, which has the voices and the room but no words; and speech in other languages. A model
that knows its limits is less sure of them than of what it was made for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import numpy as np

from emopipe.conditions.amplitude import rms
from emopipe.conditions.condition import SAMPLE_RATE, generator_of
from emopipe.conditions.noise import pink_noise
from emopipe.robustness.languages import spoken

CLIPS = 20  # of each kind
SECONDS = (1.0, 5.0)
LEVELS = (-45.0, -15.0)  # RMS, dB of full scale
SEMITONE = 2 ** (1 / 12)
CHORDS = ((0, 4, 7), (0, 3, 7), (0, 5, 9), (-1, 2, 7))  # semitones above the key note


def _white_noise(times: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return generator.standard_normal(len(times))


def _pink_noise(times: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return pink_noise(len(times), generator)


def _tone(times: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return np.sin(2 * np.pi * generator.uniform(100, 4000) * times)


def _music(times: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return chords of three plucked strings each, two to four a second."""
    beat, key, sound = 1 / generator.uniform(2, 4), generator.uniform(110, 330), np.zeros_like(times)
    for start in np.arange(0, times[-1], beat):
        own = np.clip(times - start, 0, None)
        envelope = np.where(times >= start, np.exp(-4 * own), 0.0)
        for step in CHORDS[generator.integers(len(CHORDS))]:
            note = key * SEMITONE**step
            sound += envelope * sum(np.sin(2 * np.pi * note * k * own) / k**2 for k in range(1, 6))
    return sound


def _machine(times: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the harmonics of a motor, which turns evenly, in pink noise."""
    turns, phases = generator.uniform(25, 120), generator.uniform(0, 2 * np.pi, 20)
    hum = sum(np.sin(2 * np.pi * turns * k * times + phases[k - 1]) / k for k in range(1, 21))
    return hum * (1 + 0.3 * np.sin(2 * np.pi * turns / 4 * times)) + 0.5 * pink_noise(len(times), generator)


_MAKERS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "white_noise": _white_noise, "pink_noise": _pink_noise, "tone": _tone, "music": _music, "machine": _machine,
}  # fmt: skip
SILENCE, REVERSED, FOREIGN = "silence", "reversed_speech", "other_languages"
KINDS = (SILENCE, *_MAKERS, REVERSED, FOREIGN)


def clips(kind: str, seed: int, speech: Sequence[np.ndarray], languages: Collection[str] = ()) -> Iterator[np.ndarray]:
    """Yield :data:`CLIPS` sounds of a kind, or about so many: of other languages one each.

    Args:
        kind: one of :data:`KINDS`
        seed: of what is drawn: length, level, pitch
        speech: 16 kHz mono, float32 [samples] each, that is played backwards
        languages: of the speech, by ISO 639 code, which are no other ones

    Yields:
        16 kHz mono, full scale ±1, float32 [samples]
    """
    if kind == REVERSED:
        chosen = np.unique(np.linspace(0, len(speech) - 1, CLIPS).round().astype(int))  # from all of its speakers
        yield from (speech[number][::-1].copy() for number in chosen)
        return
    if kind == FOREIGN:
        for number, sound in enumerate(spoken(seed, languages)):
            level = 10 ** (generator_of(seed, kind, "", str(number)).uniform(*LEVELS) / 20)
            yield _scaled(sound, level)
        return
    for number in range(CLIPS):
        generator = generator_of(seed, kind, "", str(number))
        times = np.arange(round(generator.uniform(*SECONDS) * SAMPLE_RATE)) / SAMPLE_RATE
        if kind == SILENCE:
            yield np.zeros(len(times), np.float32)
        else:
            level = 10 ** (generator.uniform(*LEVELS) / 20)
            yield _scaled(_MAKERS[kind](times, generator), level)


def _scaled(sound: np.ndarray, level: float) -> np.ndarray:
    """Return a sound of an RMS, softer where it would leave full scale."""
    scaled = sound * (level / rms(sound))
    return (scaled / max(1.0, np.abs(scaled).max())).astype(np.float32)
