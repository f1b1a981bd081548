"""Real codecs: what an encoder and a decoder leave of speech.

MP3 (LAME), Opus (libopus) and AMR narrowband (OpenCORE) are FFmpeg's, through PyAV; Vorbis (libvorbis) is libsndfile's.
The file is written to memory and read again, and what encoder and decoder delay is taken off: MP3, Opus and Vorbis tell
the delay in their files. The result has the length of the input. Two things are the codecs' own and are left: of
silence Opus makes noise, 91 dB below full scale, and in its narrow band (6 kbit/s) it comes 0.1 ms late.
"""

from __future__ import annotations

import io

import numpy as np

from emopipe.conditions.condition import SAMPLE_RATE, from_extra
from emopipe.conditions.filters import resample

AMR_RATE = 8000  # Hz, the one that AMR narrowband takes
AMR_DELAY = 40  # samples of that rate: the encoder looks 5 ms ahead, and its file does not tell
TAIL = 320  # zeros, behind what is encoded: some encoders drop the last samples


def mp3(samples: np.ndarray, _: np.random.Generator, bit_rate: int) -> np.ndarray:
    """Return samples after MP3 of a constant rate in bit/s, as ``ffmpeg -b:a`` makes it."""
    return _decoded(encoded(samples, SAMPLE_RATE, "libmp3lame", "mp3", bit_rate), SAMPLE_RATE)[: len(samples)]


def opus(samples: np.ndarray, _: np.random.Generator, bit_rate: int) -> np.ndarray:
    """Return samples after Opus at a mean rate in bit/s, tuned for speech ("voip")."""
    file = encoded(samples, SAMPLE_RATE, "libopus", "ogg", bit_rate, application="voip")
    return _decoded(file, SAMPLE_RATE)[: len(samples)]


def amr_nb(samples: np.ndarray, bit_rate: int) -> np.ndarray:
    """Return samples of 8 kHz after AMR narrowband at a rate in bit/s, one of the eight that it has."""
    file = encoded(samples, AMR_RATE, "libopencore_amrnb", "amr", bit_rate)
    return _decoded(file, AMR_RATE)[AMR_DELAY : AMR_DELAY + len(samples)]


def vorbis(samples: np.ndarray, _: np.random.Generator, quality: float) -> np.ndarray:
    """Return samples after Ogg Vorbis of a quality, 0 to 10 as encoders count it."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format="OGG", subtype="VORBIS", compression_level=1 - quality / 10)
    file.seek(0)
    return soundfile.read(file)[0]


def encoded(samples: np.ndarray, rate: int, codec: str, container: str, bit_rate: int, **options: str) -> bytes:
    """Return a file of one track; behind the samples there is a little silence in it.

    Args:
        samples: full scale ±1, [samples]
        rate: of them, in Hz
        codec: FFmpeg's name of the encoder
        container: FFmpeg's name of the format
        bit_rate: in bit/s
        options: of the encoder
    """
    with from_extra("av"):
        import av
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono", options=options)
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(
            np.pad(samples, (0, TAIL))[None].astype(np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts = rate, 0
        for part in (frame, None):  # None: what the encoder still holds
            output.mux(stream.encode(part))
    return file.getvalue()


def _decoded(file: bytes, rate: int) -> np.ndarray:
    with from_extra("av"):
        import av
    with av.open(io.BytesIO(file)) as source:
        frames = list(source.decode(audio=0))
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float64)
    found = frames[0].sample_rate
    return samples if found == rate else resample(samples, found, rate, -(-len(samples) * rate // found))
