"""Lost packets of a transmission."""

from __future__ import annotations

import numpy as np

FRAME = 320  # samples, 20 ms: what one packet carries


def packet_loss(
    samples: np.ndarray, generator: np.random.Generator, rate: float, burst: float | None = None
) -> np.ndarray:
    """Return samples in which lost packets are digital silence; nothing conceals them.

    A packet is lost by the chain of two states of Gilbert ("Capacity of a burst-noise channel", Bell System Technical
    Journal 39, 1960) and Elliott (ibid. 42, 1963): all packets are lost in the bad state, none in the good one. After
    a loss the next packet is lost with the probability 1 − 1/burst, after one that came with
    rate / (burst · (1 − rate)). The first one is lost with the probability ``rate``, as every one is on average.

    Args:
        samples: [samples]
        generator: draws what is lost
        rate: share of packets that are lost
        burst: mean number of packets lost one after another; None: each is lost for itself, with a mean of
            1 / (1 − rate)
    """
    frames = -(-len(samples) // FRAME)
    draws = generator.random(frames)
    if burst is None:
        lost = draws < rate
    else:
        lost, chance = np.empty(frames, bool), rate
        for frame, draw in enumerate(draws):
            lost[frame] = draw < chance
            chance = 1 - 1 / burst if lost[frame] else rate / (burst * (1 - rate))
    return np.where(np.repeat(lost, FRAME)[: len(samples)], 0.0, samples)
