"""The resample stage's conversion against the usual loop over librosa.load, on the same files.

    python -m benchmarks.resample            # makes 200 files of 3 s: 44.1 and 48 kHz, mono and stereo, 16 bit WAV
    python -m benchmarks.resample FOLDER     # every .wav and .flac below it, say of a corpus

Each way brings every file to 16 kHz mono FLAC, in a new folder:

- loop: ``librosa.load(path, sr=16000)``, then ``soundfile.write``
- stage: what the resample stage calls, in one process and in ``--workers``; it also looks for damage, cuts, silence
  and NaN, and takes the sha256 of what it wrote

The ways take turns, so that a slow moment of the machine meets them all; rates are those of all rounds together. Then
the stage alone on a quarter of the files, on half, and on all: the seconds a file takes do not grow with their number.

librosa is not asked for by the pipeline itself; it comes with funasr.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import librosa
import numpy as np
import soundfile

from emopipe.recordings.reading import Recording, RejectedError, duration
from emopipe.recordings.resampling import convert_all
from emopipe.schemas.manifest import SAMPLE_RATE

FILES, SECONDS = 200, 3
RATES = (44_100, 48_000)
ENDINGS = (".wav", ".flac")

Way = Callable[[Sequence[Path], Path], None]  # given the sources and an empty folder


def make(folder: Path) -> None:
    """Write a synthetic corpus: harmonics that come and go, over some noise."""
    rng = np.random.default_rng(0)
    for i in range(FILES):
        rate, channels = RATES[i % 2], 1 + i // 2 % 2
        time_ = np.arange(SECONDS * rate) / rate
        pitch = rng.uniform(90, 250)
        voice = sum(np.sin(2 * np.pi * pitch * k * time_) / k for k in range(1, 20))
        voice = voice * np.abs(np.sin(2 * np.pi * rng.uniform(1, 4) * time_)) * 0.1
        samples = voice[:, None] + rng.standard_normal((len(voice), channels)) * 0.005
        soundfile.write(folder / f"{i:04}.wav", samples, rate)


def loop(sources: Sequence[Path], folder: Path) -> None:
    """Convert as a script of a few lines does."""
    for i, source in enumerate(sources):
        samples, _ = librosa.load(source, sr=SAMPLE_RATE)
        soundfile.write(folder / f"{i}.flac", samples, SAMPLE_RATE)


def stage(sources: Sequence[Path], folder: Path, workers: int) -> None:
    """Convert as the stage does."""
    jobs = [(Recording(source), folder / f"{i}.flac") for i, source in enumerate(sources)]
    for (source, _), outcome in zip(jobs, convert_all(jobs, workers, folder / "parts"), strict=True):
        if isinstance(outcome, RejectedError):
            raise SystemExit(f"{source.path}: {outcome}; time it without this file")


def seconds(way: Way, sources: Sequence[Path]) -> np.ndarray:
    """Return how long a way takes, and how much of the processors' time, that of its own processes included."""
    with tempfile.TemporaryDirectory() as folder:
        began = _clocks()
        way(sources, Path(folder))
        return _clocks() - began


def _clocks() -> np.ndarray:
    return np.array([time.perf_counter(), sum(os.times()[:4])])


def compare(sources: Sequence[Path], workers: int, rounds: int) -> None:
    """Print the rates of the ways, and how many times that of the loop they are."""
    ways: dict[str, Way] = {"loop": loop}
    ways |= {f"stage, workers {count}": partial(stage, workers=count) for count in dict.fromkeys((1, workers))}
    for way in ways.values():
        way(sources[:1], Path(tempfile.gettempdir()))
    spent = dict.fromkeys(ways, np.zeros(2))
    for _ in range(rounds):
        for name, way in ways.items():
            spent[name] = spent[name] + seconds(way, sources)
    audio = sum(map(duration, sources))
    print(f"{len(sources)} files, {audio / 60:.1f} min of audio, {rounds} rounds")
    print("| way | files/s | s of audio per s | against the loop | CPU, ms a file |\n" + "|---" * 5 + "|")
    for name, (took, computed) in spent.items():
        files, processed = len(sources) * rounds / took, audio * rounds / took
        cost = computed / rounds / len(sources) * 1e3
        print(f"| {name} | {files:.0f} | {processed:.0f} | {spent['loop'][0] / took:.2f}x | {cost:.1f} |", flush=True)


def growth(sources: Sequence[Path], workers: int, rounds: int) -> None:
    """Print what a file costs the stage, among few files and among many."""
    shuffled = np.random.default_rng(0).permutation(len(sources))  # a corpus is sorted by speaker or by length
    shares = [[sources[i] for i in shuffled[: len(sources) // part]] for part in (4, 2, 1)]
    spent = np.zeros((len(shares), 2))
    for _ in range(rounds):
        for i, share in enumerate(shares):
            spent[i] += seconds(partial(stage, workers=workers), share) / rounds
    for share, (took, computed) in zip(shares, spent, strict=True):
        costs = [f"{1e3 * value / len(share):.1f} ms" for value in (took, computed)]
        print(f"{len(share)} files: {took:.2f} s, {costs[0]} a file ({costs[1]} of CPU)")


def main() -> None:
    """Print a table in Markdown, and how the cost grows."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.resample", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="of recordings; made by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2, help="processes of the stage, as runtime.workers")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if arguments.folder is None:
            make(Path(place))
        folder = arguments.folder or Path(place)
        sources = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
        if len(sources) < 4:
            parser.error(f"{folder}: fewer than 4 files that end in {' or '.join(ENDINGS)}")
        compare(sources, arguments.workers, arguments.rounds)
        growth(sources, arguments.workers, arguments.rounds)


if __name__ == "__main__":
    main()
