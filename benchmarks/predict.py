"""`emopipe predict` against the usual loop over files, with the same network; and its memory on a long recording.

    python -m benchmarks.predict MODEL                # 500 recordings of synthetic speech, then 3 minutes and 3 hours
    python -m benchmarks.predict MODEL --files 100 --long 30

MODEL is a folder that the pipeline wrote, models/audio. Each way answers the same short recordings in a process of its
own, start-up included, and they take turns, so that a slow moment of the machine meets them all:

- loop: ``librosa.load(path, sr=16000)``, then the network, one file at a time, as scripts around published models do
- loop, 30 s: the same with every clip padded to the 30 s that Whisper's published classes ask for; it is given fewer
  files, and its time is multiplied
- predict: this pipeline's command, which also looks for damage, silence and speech

Beside the rate of the command, in seconds of sound per second, stands the arithmetic limit: the operations of the
network for such recordings at the rate of a float32 matrix product on all threads.

Memory is the peak of the command, on 3 minutes and on 3 hours of speech with pauses.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.first_result import measure
from emopipe.corpora import espeak
from emopipe.encoding.encoder import in_threads
from emopipe.recognition.speech import Recognizer
from emopipe.schemas.manifest import SAMPLE_RATE

ROOT = Path(__file__).parent.parent
TEXTS = ("Where have you been all day?", "I will bring it on Wednesday, as I said.", "No, thank you, it was nothing.")
PADDED = 10  # of so many files one is given to the loop that pads
WIDTH, PRODUCTS = 384, 200  # a matrix product as in a small transformer, and how many a thread computes

LOOP = """
import sys
from pathlib import Path
import librosa, numpy as np, torch
from emopipe.recognition.speech import Recognizer

folder, model, seconds, every = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
recognizer = Recognizer.load(model, device="cpu")
encoder, settings = recognizer.encoder, recognizer.trained.settings
for path in sorted(Path(folder).iterdir())[::every]:
    samples, _ = librosa.load(path, sr=16000)
    samples = np.pad(samples, (0, max(0, round(seconds * 16000) - len(samples))))[: encoder.backbone.max_samples]
    encoded = encoder.backbone.encode([torch.from_numpy(samples)], encoder.trainable)
    answer, = recognizer.outputs(encoded)
    print(path, answer)
"""


def make(folder: Path, files: int) -> float:
    """Write recordings of 44.1 kHz; return their length together, in seconds."""
    sentences = [espeak.Sentence(text, f"en-us+{voice}", 170, 50, 60, 0) for text in TEXTS for voice in ("f3", "m3")]
    spoken = [np.frombuffer(content, np.int16) for content in espeak.speak(sentences)]
    total = 0.0
    for number in range(files):
        samples = soxr.resample(spoken[number % len(spoken)][number:], espeak.SAMPLE_RATE, 44_100)
        soundfile.write(folder / f"{number:04}.wav", samples, 44_100)
        total += len(samples) / 44_100
    return total


def make_long(path: Path, minutes: float) -> None:
    """Write speech with pauses."""
    (content,) = espeak.speak([espeak.Sentence(" ".join(TEXTS), "en-us+f3", 170, 50, 60, 0)])
    part = np.concatenate([np.frombuffer(content, np.int16), np.zeros(espeak.SAMPLE_RATE, np.int16)])
    with soundfile.SoundFile(path, "w", espeak.SAMPLE_RATE, 1, "PCM_16") as file:
        for _ in range(round(minutes * 60 * espeak.SAMPLE_RATE / len(part))):
            file.write(part)


def limit(model: str) -> float:
    """Return how many seconds of sound a second would suffice for, if there were nothing to do but products."""
    encoder = Recognizer.load(model, device="cpu").encoder
    clip = np.random.default_rng(0).standard_normal(4 * SAMPLE_RATE).astype(np.float32)
    with FlopCounterMode(display=False) as counter:
        encoder.encode([clip])
    threads = torch.get_num_threads()
    left, right = torch.randn(200, WIDTH), torch.randn(WIDTH, 4 * WIDTH)

    def products(_: int) -> None:
        for _ in range(PRODUCTS):
            left @ right

    list(in_threads(products, range(threads), threads))
    began = time.perf_counter()
    list(in_threads(products, range(4 * threads), threads))
    rate = 4 * threads * PRODUCTS * 2 * left.numel() * 4 * WIDTH / (time.perf_counter() - began)
    return 4 * rate / counter.get_total_flops()


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", type=float, default=180, help="minutes")
    arguments = parser.parse_args()
    model = str(Path(arguments.model).absolute())
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "short").mkdir()
        total = make(place / "short", arguments.files)
        predict = ["-m", "emopipe", "predict", "--device", "cpu", "--model", model, "--restart", "--output", "a.csv"]
        ways = {
            "loop": (["-c", LOOP, "short", model, "0", "1"], 1),
            "loop, 30 s": (["-c", LOOP, "short", model, "30", str(PADDED)], PADDED),
            "predict": ([*predict, "short"], 1),
        }
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(arguments.rounds):
            for way, (command, factor) in ways.items():
                times[way].append(factor * measure(command, place, environment).wall)
        took = {way: statistics.median(mine) for way, mine in times.items()}
        print(f"{arguments.files} recordings, {total:.0f} s of sound; {torch.get_num_threads()} threads")
        print("\n| way | s | sound, s per s | predict is so many times as fast |\n|---|---|---|---|")
        for way, seconds in took.items():
            print(f"| {way} | {seconds:.1f} | {total / seconds:.1f} | {seconds / took['predict']:.2f} |")
        print(f"\narithmetic limit: {limit(model):.0f} s of sound per s")
        peaks = []
        for minutes in (3, arguments.long):
            make_long(place / "long.wav", minutes)
            cost = measure([*predict, "long.wav"], place, environment)
            peaks.append(cost.peak)
            rate = 60 * minutes / cost.wall
            print(f"{minutes:g} minutes: peak {cost.peak:.0f} MiB, {cost.wall:.0f} s, {rate:.0f} s of sound per s")
        print(f"difference {peaks[1] - peaks[0]:+.0f} MiB")


if __name__ == "__main__":
    sys.exit(main())
