"""Rooms: reverberation by the image-source method, computed by pyroomacoustics.

The method is that of Allen & Berkley (Journal of the Acoustical Society of America 65, 1979). A room is a box with a
source and a microphone in it, all drawn from its band of reverberation times (RT60) and its number. Rooms grow with
their RT60, as those around us do. Walls absorb what Eyring's formula asks for. In the box of the method, where every
reflection is a mirror's, sound then still decays too slowly: what goes to and fro between two walls misses the others.
The rest is absorbed on the way, as by air: the response is multiplied by exp(−at), with the a that makes the measured
RT60 the one that was drawn. It is measured as ISO 3382 does, from −5 to −35 dB of the energy integrated backwards
(Schroeder, ibid. 37, 1965).
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np

from emopipe.conditions.condition import SAMPLE_RATE, from_extra, generator_of

ROOMS = 20  # of each band
SPEED = 343.0  # m/s, of sound
DISTANCES = 0.5, 2.5  # m, between source and microphone
HEIGHTS = 1.0, 1.7  # m, of the microphone
MARGIN = 0.4  # m, of both from the walls
FIT_RANGE = -35.0, -5.0  # dB, of the decay that is measured
CORRECTIONS = 8  # of the decay, after which the RT60 does not change any more
COMPUTED = 50 / 60  # of the RT60: the response is followed down to −50 dB
CENTRE = 40  # samples by which pyroomacoustics delays all, half the length of its interpolation


class Room(NamedTuple):
    """A room, by what it does to sound."""

    rt60: float  # s
    response: np.ndarray  # [samples], which begins with the direct sound, of height 1


def reverberate(samples: np.ndarray, _: np.random.Generator, low: float, high: float, number: int) -> np.ndarray:
    """Return samples with the reverberation of a room, undelayed and as long as they were.

    Args:
        samples: [samples]
        low: bound of the band of RT60, in s
        high: bound of the band of RT60, in s
        number: of the room within its band, below :data:`ROOMS`
    """
    from scipy.signal import fftconvolve

    return fftconvolve(samples, room(low, high, number).response)[: len(samples)]


@cache
def room(low: float, high: float, number: int) -> Room:
    """Return a room; the same one for the same arguments, whatever the seed of the suite is.

    Args:
        low: bound of the band of RT60, in s
        high: bound of the band of RT60, in s
        number: of the room within its band
    """
    generator = generator_of(0, "room", f"{low:g}-{high:g}", str(number))
    rt60 = float(generator.uniform(low, high))
    length = generator.uniform(3, 5) + 8 * rt60
    size = np.array([length, length * generator.uniform(0.6, 1), 2.4 + 2.4 * rt60 * generator.uniform(0.8, 1)])
    microphone, source, delay = _positions(size, generator)
    response = _images(size, microphone, source, rt60)[CENTRE + delay :][: round(COMPUTED * rt60 * SAMPLE_RATE)]
    return Room(rt60, _decaying(response / response[0], rt60))


def _positions(size: np.ndarray, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, int]:
    """Return where microphone and source are, and how many samples the sound takes from one to the other.

    That is a whole number, so that the direct sound is a single sample.
    """
    bounds = [round(distance / SPEED * SAMPLE_RATE) for distance in DISTANCES]
    while True:
        microphone = np.append(generator.uniform(MARGIN, size[:2] - MARGIN), generator.uniform(*HEIGHTS))
        delay = int(generator.integers(*bounds, endpoint=True))
        direction = generator.standard_normal(3)
        source = microphone + direction / np.linalg.norm(direction) * delay * SPEED / SAMPLE_RATE
        if (source > MARGIN).all() and (source < size - MARGIN).all():
            return microphone, source, delay


def _images(size: np.ndarray, microphone: np.ndarray, source: np.ndarray, rt60: float) -> np.ndarray:
    with from_extra("robustness"):
        import pyroomacoustics
    pyroomacoustics.constants.set("num_threads", 1)  # of several, the sum would depend on their number
    volume, surface = size.prod(), 2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2])
    absorption = 1 - math.exp(-24 * math.log(10) / SPEED * volume / (surface * rt60))  # Eyring
    # Of a path of this length in the least favourable direction; the reflections of others come later.
    order = math.ceil(SPEED * rt60 * COMPUTED * float(np.linalg.norm(1 / size)))
    box = pyroomacoustics.ShoeBox(size, fs=SAMPLE_RATE, materials=pyroomacoustics.Material(absorption), max_order=order)
    box.add_source(source)
    box.add_microphone(microphone)
    box.compute_rir()
    return box.rir[0][0].astype(np.float64)


def _decaying(response: np.ndarray, rt60: float) -> np.ndarray:
    """Return a response that decays more quickly, so that its measured RT60 is the one wanted."""
    times, rate, found = np.arange(len(response)) / SAMPLE_RATE, 0.0, response
    for _ in range(CORRECTIONS):
        rate += 3 * math.log(10) * (1 / rt60 - 1 / reverberation_time(found))  # exact where the decay is exponential
        found = response * np.exp(-rate * times)
    return found


def reverberation_time(response: np.ndarray) -> float:
    """Return the time in which the energy of a response falls by 60 dB, in s, by the line from −5 to −35 dB."""
    energy = np.cumsum(np.square(response[::-1]))[::-1]
    decibels = 10 * np.log10(energy / energy[0])
    (places,) = np.nonzero((decibels >= FIT_RANGE[0]) & (decibels <= FIT_RANGE[1]))
    slope, _ = np.polyfit(places / SAMPLE_RATE, decibels[places], 1)
    return float(-60 / slope)
