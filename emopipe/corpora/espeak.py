"""Speech synthesis by espeak-ng that gives the same samples each time.

The synthesiser seeds its noise with the time of day, and keeps state from one sentence to the next (the phase of its
pitch flutter) that not even its own re-initialisation resets. So the seed is set, and a list of sentences is spoken
from the first to the last by a process of its own, ``python -m emopipe.corpora.espeak``: the samples depend on that
list alone. As a process starts for every list, this module imports little.

espeak-ng is a program under GPL-3.0-or-later, installed as published and run at arm's length; the sound it makes
is not covered by its licence.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from emopipe.io.errors import UserError

SAMPLE_RATE = 22_050

ROOT = Path(__file__).resolve().parents[2]

# The constants of speak_lib.h
SYNCHRONOUS = 2  # samples go to the callback, no sound device is opened
RATE, PITCH, RANGE, WORD_GAP = 1, 3, 4, 7
UTF8, END_PAUSE = 0x1, 0x1000
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


@dataclass(frozen=True)
class Sentence:
    """A text and how to speak it; the numbers are in the synthesiser's own units."""

    text: str
    voice: str  # a language and a variant, en-us+f3
    rate: int  # words per minute, 80 to 450
    pitch: int  # 0 to 99; 50 is the voice's own
    range: int  # 0 (monotone) to 99; 50 is the voice's own
    word_gap: int  # pause between words, in units of 10 ms


def speak(sentences: Sequence[Sentence]) -> list[bytes]:
    """Return each sentence as 16-bit mono samples at 22.05 kHz, in the machine's byte order.

    Raises:
        UserError: if the synthesiser does not run here
    """
    command = [sys.executable, "-m", "emopipe.corpora.espeak"]
    request = json.dumps([asdict(sentence) for sentence in sentences]).encode()
    process = subprocess.run(command, input=request, capture_output=True, cwd=ROOT)  # noqa: S603 no outside input
    if process.returncode:
        lines = process.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit status {process.returncode}"
        raise UserError(
            f"synthetic: espeak-ng does not run here: {reason}; reinstall espeakng-loader, or take another corpus"
        )
    header, _, samples = process.stdout.partition(b"\n")
    return list(_cut(samples, json.loads(header)))


def _cut(samples: bytes, lengths: Sequence[int]) -> Iterator[bytes]:
    start = 0
    for length in lengths:
        yield samples[start : start + length]
        start += length


def _serve() -> None:
    """Speak the sentences on standard input; their lengths in bytes and their samples go to standard output."""
    sentences = [Sentence(**values) for values in json.load(sys.stdin)]
    spoken = list(_synthesise(sentences))
    sys.stdout.buffer.write(json.dumps([len(samples) for samples in spoken]).encode() + b"\n" + b"".join(spoken))


def _synthesise(sentences: Sequence[Sentence]) -> Iterator[bytes]:
    import espeakng_loader

    pieces: list[bytes] = []

    @CALLBACK
    def collect(samples: int | None, count: int, _events: int | None) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0  # go on

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    # The synthesiser cuts its data's path at 160 characters; a relative one is short wherever it is installed.
    data = Path(espeakng_loader.get_data_path())
    os.chdir(data.parent)
    rate = library.espeak_Initialize(SYNCHRONOUS, 0, data.name.encode(), 0)
    if rate != SAMPLE_RATE:
        raise RuntimeError(f"espeak_Initialize returned {rate}, expected {SAMPLE_RATE}")
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # initialisation has taken the time of day
    library.espeak_SetSynthCallback(collect)
    for sentence in sentences:
        if library.espeak_SetVoiceByName(sentence.voice.encode()):
            raise RuntimeError(f"no voice {sentence.voice}")
        settings = {
            RATE: sentence.rate, PITCH: sentence.pitch, RANGE: sentence.range, WORD_GAP: sentence.word_gap,
        }  # fmt: skip
        for parameter, value in settings.items():
            library.espeak_SetParameter(parameter, value, 0)
        text = sentence.text.encode() + b"\0"
        if library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, UTF8 | END_PAUSE, None, None):
            raise RuntimeError(f"cannot speak {sentence.text!r}")
        library.espeak_Synchronize()
        yield b"".join(pieces)
        pieces.clear()


if __name__ == "__main__":
    _serve()
