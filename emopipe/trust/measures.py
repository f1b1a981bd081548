"""What can be measured of a recording without listening to what is said, or how: the shortcuts of a lazy model."""

from __future__ import annotations

import numpy as np
from scipy.signal import welch

from emopipe.schemas.manifest import SAMPLE_RATE

MEASURES = (
    "duration", "loudness", "peak", "leading_silence", "trailing_silence", "roll_off", "bandwidth", "noise_floor",
)  # fmt: skip
IDENTITIES = ("sex", "corpus", "speaker")  # what the manifest says of it

FRAME = 160  # samples, 10 ms
LOWEST = -120.0  # dB, for what is not there at all: 16 bits end at -98
SILENT = 40.0  # dB below the loudest frame
QUIET = 10  # percent of the frames, the quietest, which are taken for the noise
SEGMENT = 512  # samples of a spectrum
ENERGY = 0.95  # share of the energy below the roll-off
FLOOR = 1e-8  # of the strongest density, -80 dB: what is weaker is no signal
# Ten times the density, per Hz, of the noise of rounding to 16 bits, for dither: what is weaker is no signal either.
ROUNDING = 10 * (1 / 32768) ** 2 / 12 / (SAMPLE_RATE / 2)


def measure(samples: np.ndarray) -> dict[str, float]:
    """Return the :data:`MEASURES` of a recording, all of them finite.

    ``duration`` in s; ``loudness``, the root mean square, and ``peak``, both in dB of full scale; ``leading_silence``
    and ``trailing_silence``, how long it stays 40 dB below its loudest 10 ms, in s; ``roll_off``, below which 95 % of
    the energy lies, and ``bandwidth``, the highest frequency that stands out from rounding and from -80 dB of the
    strongest one, both in Hz; ``noise_floor``, the level of its quietest tenth in dB. The mean is taken off all but the
    peak. Of silence the levels are -120 dB, the frequencies 0 Hz, and the silence is as long as the recording.

    Args:
        samples: at 16 kHz, full scale ±1, finite, [samples]

    >>> {name: round(value, 2) for name, value in measure(np.zeros(800)).items()}["leading_silence"]
    0.05
    """
    wave = np.asarray(samples, dtype=np.float64)
    duration = len(wave) / SAMPLE_RATE
    centred = wave - wave.mean() if len(wave) else np.zeros(1)
    starts = np.arange(0, len(centred), FRAME)
    levels = _decibels(np.add.reduceat(centred**2, starts) / np.diff([*starts, len(centred)]))
    loud = np.flatnonzero(levels > max(levels.max() - SILENT, LOWEST))
    before, after = (starts[loud[0]], len(wave) - starts[loud[-1]] - FRAME) if len(loud) else (len(wave), len(wave))
    frequencies, density = welch(centred, SAMPLE_RATE, nperseg=min(SEGMENT, len(centred)), detrend=False)
    energy = np.cumsum(density)
    present = np.flatnonzero(density > max(FLOOR * density.max(), ROUNDING))
    roll_off = float(frequencies[np.searchsorted(energy, ENERGY * energy[-1])])
    return {
        "duration": duration,
        "loudness": float(_decibels(np.mean(centred**2))),
        "peak": float(_decibels(np.max(abs(wave), initial=0.0) ** 2)),
        "leading_silence": float(before / SAMPLE_RATE),
        "trailing_silence": float(max(0, after) / SAMPLE_RATE),
        "roll_off": min(roll_off, SAMPLE_RATE / 2) if len(present) else 0.0,
        "bandwidth": min(float(frequencies[present[-1]]), SAMPLE_RATE / 2) if len(present) else 0.0,
        "noise_floor": float(np.percentile(levels, QUIET)),
    }


def _decibels(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, 10 ** (LOWEST / 10)))
