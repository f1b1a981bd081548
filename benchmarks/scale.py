"""Does the pipeline stay within its memory, and is its cost linear, as a corpus grows?

    python -m benchmarks.scale                            # 20,000 and 200,000 utterances
    python -m benchmarks.scale --utterances 2000 20000

The corpora are short sounds (0.15 to 0.3 s), a hundred of every speaker, of four emotions that differ in pitch. Each
goes through all stages from fetch to the report, in a clone of the last commit, with the last block of a small network
of random weights trained for an epoch: what is measured is the pipeline, not the backbone, whose cost per second of
audio `emopipe plan` tells. Per stage: processor time, and the memory of the largest of its processes. Last, by how much
the time grows for each tenfold corpus, less that of a process without work: 10 is linear.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import yaml

from benchmarks.first_result import ROOT, Cost, measure
from emopipe.schemas.manifest import SAMPLE_RATE

PITCH = {"anger": 300.0, "happiness": 240.0, "neutral": 180.0, "sadness": 120.0}  # Hz
OF_A_SPEAKER = 100
LEAST = 1.0  # CPU seconds of work below which no growth is told
NETWORK = """
import pathlib, sys
from benchmarks import networks
networks.write("whisper", pathlib.Path(sys.argv[1]), small=True)
"""
SETTINGS = {
    "data": {"audio": {"corpora": ["corpus/corpus.csv"]}, "text": {"corpora": None}},
    "model": {"backbone": "./backbone", "trainable_layers": 1, "ensemble_size": 1},
    "encode": {"max_seconds": 1},
    "train": {"epochs": 2, "refit": "none", "tuning": {"epochs": 1}},
}


def write_corpus(utterances: int, folder: Path) -> None:
    """Write recordings and their table.

    Args:
        utterances: how many
        folder: made here
    """
    folder.mkdir(parents=True)
    generator, rows, emotions = np.random.default_rng(0), [], list(PITCH)
    for number in range(utterances):
        speaker, emotion = number // OF_A_SPEAKER, emotions[generator.integers(len(PITCH))]
        path = Path(f"{speaker:05}", f"{number:07}.wav")
        times = np.arange(round(generator.uniform(0.15, 0.3) * SAMPLE_RATE)) / SAMPLE_RATE
        pitch = PITCH[emotion] * 2 ** generator.normal(0, 0.25)
        sound = sum(np.sin(2 * np.pi * pitch * k * times) / k for k in range(1, 6))
        noisy = 0.1 * sound + 0.05 * generator.standard_normal(len(times))
        (folder / path.parent).mkdir(exist_ok=True)
        soundfile.write(folder / path, noisy.astype(np.float32), SAMPLE_RATE, subtype="PCM_16")
        rows.append({"path": path.as_posix(), "speaker": f"{speaker:05}", "sex": "fm"[speaker % 2], "emotion": emotion})
    pd.DataFrame(rows).to_csv(folder / "corpus.csv", index=False)


def costs(utterances: int, stages: Sequence[str], place: Path) -> dict[str, Cost]:
    """Run the stages on a corpus of so many utterances and return what each took.

    Args:
        utterances: how many
        stages: in order
        place: an empty folder; its content is removed
    """
    folder = place / "emopipe"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)  # noqa: S603, S607
    write_corpus(utterances, folder / "corpus")
    # In a process of its own: the stages' peaks would begin where the memory of this one stands.
    subprocess.run([sys.executable, "-c", NETWORK, str(folder / "backbone")], check=True)  # noqa: S603
    path = folder / "params.yaml"
    path.write_text(yaml.safe_dump(_with(yaml.safe_load(path.read_text(encoding="utf-8")), SETTINGS)), encoding="utf-8")
    environment = os.environ | {"EMOPIPE_CACHE": str(place / "cache")}
    found = {}
    for stage in stages:
        found[stage] = measure(["-m", f"stages.{stage}"], folder, environment)
        print(f"{utterances:,}: {stage}: {found[stage]}", file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    return found


def _with(values: dict, changes: dict) -> dict:
    """Return nested values with those of ``changes`` in their place."""
    nested = {key: _with(values[key], value) for key, value in changes.items() if isinstance(value, dict)}
    return values | changes | nested


def main() -> None:
    """Print a table for each corpus, and the growth from one to the next."""
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", nargs="+", type=int, default=[20_000, 200_000], metavar="N")
    parser.add_argument("--scratch", type=Path, help="folder for the corpora; default: the system's")
    arguments = parser.parse_args()
    found = []
    for utterances in arguments.utterances:
        with tempfile.TemporaryDirectory(dir=arguments.scratch) as place:
            found.append(costs(utterances, list(pipeline), Path(place)))
    sizes = arguments.utterances
    idle = {stage: measure(["-c", f"import stages.{stage}"], ROOT, dict(os.environ)).cpu for stage in pipeline}
    print("| stage | " + " | ".join(f"{size:,}: CPU s | peak MiB" for size in sizes) + " | growth per tenfold |")
    print("|---|" + "---:|---:|" * len(sizes) + "---:|")
    for stage in pipeline:
        own = [cost[stage] for cost in found]
        work = [cost.cpu - idle[stage] for cost in own]
        tenfold = (work[-1] / work[0]) ** (1 / np.log10(sizes[-1] / sizes[0])) if work[0] > LEAST else np.nan
        cells = " | ".join(f"{cost.cpu:.0f} | {cost.peak:.0f}" for cost in own)
        print(f"| {stage} | {cells} | {'–' if np.isnan(tenfold) else f'{tenfold:.1f}'} |")


if __name__ == "__main__":
    main()
