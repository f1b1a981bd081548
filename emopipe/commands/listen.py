"""Predict emotion, or valence, arousal and dominance, while somebody speaks.

    emopipe listen                                             # the microphone; Ctrl-C ends it
    ffmpeg -i URL -f s16le -ac 1 -ar 16000 - | emopipe listen -
    emopipe listen --segments windows --window 3 --hop 1 --format jsonl

A line for every segment of speech as soon as it has ended; in JSON Lines one for what lies between, too. The numbers
are those of `emopipe predict` for a file of the same sound. An answer comes when the silence after speech has lasted
--min-silence, or a window is over, and the model has computed it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any

import numpy as np

from emopipe.io.errors import UserError
from emopipe.recognition import annotations, tables
from emopipe.recognition.options import add_cutting, cutting_of

BYTES = 1 << 16  # read at most at a time


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "source", nargs="?", choices=["-"], metavar="-", help="samples on standard input: 16 bit, little-endian"
    )
    parser.add_argument("--rate", type=int, default=16_000, metavar="HZ", help="of the samples; 16000 by default")
    parser.add_argument("--channels", type=int, default=1, help="whose mean is taken; 1 by default")
    parser.add_argument("--microphone", metavar="NAME", help="by default the system's")
    parser.add_argument("--model", default="models/audio", help="a folder or a repository of the Hugging Face hub")
    parser.add_argument("--revision", help="of the repository: a branch, a tag or a commit")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--format", choices=["text", "jsonl"], default="text")
    add_cutting(parser, ("speech", "windows"))


def run(arguments: argparse.Namespace) -> None:
    """Print an answer for every segment until the sound ends.

    Raises:
        UserError: if the model or the microphone is not there
    """
    if arguments.rate < 2000 or arguments.channels < 1:
        raise UserError("--rate and --channels: at least 2000 Hz and one channel")
    cutting = cutting_of(arguments)
    from emopipe.recognition.speech import Recognizer  # PyTorch, once the arguments are in order

    recognizer = Recognizer.load(arguments.model, arguments.revision, arguments.device)
    source = _standard_input if arguments.source else _microphone
    for answer in recognizer.stream(source(arguments), arguments.rate, cutting):
        if arguments.format == "jsonl":
            tables.write([answer], tables.typed(answer), "jsonl", sys.stdout)
        elif line := _words(answer):
            print(line)
        sys.stdout.flush()


def _words(answer: dict[str, Any]) -> str:
    """Return an answer as a line for people; empty where there is none."""
    words = answer["reason"] if answer["status"] == "unreadable" else annotations.in_words(answer)
    if words and answer.get("confidence") is not None:
        words += f" {answer['confidence']:.2f}"
    return words and f"{answer['start']:8.2f} to {answer['end']:8.2f} s  {words}"


def _standard_input(arguments: argparse.Namespace) -> Iterator[np.ndarray]:
    """Yield the samples on standard input as they come, [samples, channels] each."""
    width = 2 * arguments.channels
    left = b""
    while content := sys.stdin.buffer.read1(BYTES):
        content = left + content
        whole = len(content) // width * width
        left = content[whole:]
        yield np.frombuffer(content[:whole], "<i2").reshape(-1, arguments.channels)


def _microphone(arguments: argparse.Namespace) -> Iterator[np.ndarray]:
    """Yield the samples of a microphone as they come, [samples, channels] each, until it is interrupted.

    Raises:
        UserError: if there is none
    """
    try:
        import sounddevice
    except ImportError:
        raise UserError("no package sounddevice, for a microphone; `pip install 'emopipe[microphone]'`") from None
    except OSError as error:
        raise UserError(f"no microphone: {error}; install PortAudio (libportaudio2), or give samples: -") from None
    chunks: SimpleQueue[np.ndarray] = SimpleQueue()

    def take(samples: np.ndarray, _frames: int, _time: object, status: sounddevice.CallbackFlags) -> None:
        if status.input_overflow:
            print("some sound was lost: the machine is too busy", file=sys.stderr)
        chunks.put(samples.copy())

    try:
        with sounddevice.InputStream(
            arguments.rate, device=arguments.microphone, channels=arguments.channels, dtype="int16", callback=take
        ):
            print("listening; Ctrl-C ends it", file=sys.stderr)
            while True:
                yield chunks.get()
    except KeyboardInterrupt:
        return  # what was said last is still answered
    except (sounddevice.PortAudioError, ValueError) as error:
        raise UserError(f"no such microphone: {error}; `python -m sounddevice` lists what there is") from None
