"""A telephone connection of low quality, as ser-tests makes it."""

from __future__ import annotations

import numpy as np

from emopipe.conditions.codecs import AMR_RATE, amr_nb
from emopipe.conditions.condition import SAMPLE_RATE, from_extra
from emopipe.conditions.filters import butterworth, resample
from emopipe.conditions.noise import pink_noise

THRESHOLD = -20.0  # dB of full scale, from which on the compressor compresses
SLOPE = 0.8  # dB more out of it for 1 dB more in, above the threshold; what is at full scale stays there
KNEE = 4.0  # dB around the threshold, within which the slope changes
ATTACK, RELEASE = 0.01, 0.02  # s
NOISE_PEAK = -25.0  # dB of full scale
NOISE_CUTOFF = 3000.0  # Hz


def low_quality_phone(samples: np.ndarray, generator: np.random.Generator, bit_rate: int) -> np.ndarray:
    """Return samples as they come out of such a connection; their level is not restored.

    At 8 kHz they are brought to peak 1, compressed and coded (AMR narrowband). At 16 kHz again they are brought to
    peak 1, and pink noise is added: of peak −25 dB before a high pass of second order at 3 kHz. The publishers halve
    the sum, which makes no difference to a level that is restored.

    Args:
        samples: [samples]
        generator: draws the noise
        bit_rate: of the codec, in bit/s
    """
    narrow = resample(samples, SAMPLE_RATE, AMR_RATE, -(-len(samples) // 2))
    if not narrow.any():
        return samples
    wide = resample(amr_nb(compressed(_normalised(narrow)), bit_rate), AMR_RATE, SAMPLE_RATE, len(samples))
    noise = 10 ** (NOISE_PEAK / 20) * pink_noise(len(samples), generator)
    return _normalised(wide) + butterworth(noise, generator, "highpass", NOISE_CUTOFF, order=2)


def _normalised(samples: np.ndarray) -> np.ndarray:
    peak = np.abs(samples).max()
    return samples / peak if peak else samples


def compressed(samples: np.ndarray) -> np.ndarray:
    """Return samples of 8 kHz with a dynamic range compressed, and clipped at full scale.

    This is the ``compand`` of SoX, which the publishers call, in FFmpeg's version. What lies below the threshold is
    raised by as much as the threshold is, 4 dB.
    """
    with from_extra("av"):
        import av
    graph = av.filter.Graph()
    source = graph.add("abuffer", f"sample_rate={AMR_RATE}:sample_fmt=dblp:channel_layout=mono:time_base=1/{AMR_RATE}")
    compand = graph.add(
        "compand",
        f"attacks={ATTACK}:decays={RELEASE}:points={THRESHOLD}/{SLOPE * THRESHOLD}:soft-knee={KNEE}",
    )
    graph.link_nodes(source, compand, graph.add("abuffersink")).configure()
    frame = av.AudioFrame.from_ndarray(samples[None], format="dblp", layout="mono")
    frame.sample_rate, frame.pts = AMR_RATE, 0
    graph.push(frame)
    return np.clip(graph.pull().to_ndarray()[0], -1, 1)
