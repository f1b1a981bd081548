"""Twenty thousand utterances: nothing is lost on the way, and memory grows by the tables alone."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tracemalloc
import wave
from pathlib import Path

import numpy as np
import pytest
import yaml

from emopipe.encoding import row_files, store
from emopipe.schemas import splits, tables
from emopipe.schemas.manifest import Rejection, read_manifest

ROOT = Path(__file__).parents[2]
FEW, MANY, SPEAKERS = 2_000, 20_000, 200
EMOTIONS = ("anger", "happiness", "neutral", "sadness")
RATES = (8_000, 16_000, 22_050, 44_100)
SILENT = 97  # one clip in so many

# What a row may cost: its eighteen cells as Python's objects, some of them twice. The samples of a clip of 0.4 s would
# take 12.5 KiB at 16 kHz and 16 bit, and twice that as float32.
ROW = 8 * 1024  # bytes

# The peak is that of the stage or of the greatest of its workers, in KiB.
RUN = """
import re, resource, runpy, sys
runpy.run_module(sys.argv[1], run_name="__main__")
own = int(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
print(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
"""


def make(place: Path, count: int) -> None:
    """Write a corpus of short clips with its manifest, and parameters that name it for both branches."""
    rng = np.random.default_rng(0)
    (place / "clips").mkdir(parents=True)
    with (place / "many.csv").open("w", newline="", encoding="utf-8") as file:
        file.write("utterance,corpus,speaker,sex,path,emotion,valence,arousal,dominance,transcript\n")
        table = csv.writer(file, lineterminator="\n")
        for i in range(count):
            rate, speaker = RATES[i % len(RATES)], i % SPEAKERS
            samples = rng.integers(-3_000, 3_000, round(rng.uniform(0.3, 0.5) * rate), dtype=np.int16)
            with wave.open(str(place / f"clips/{i}.wav"), "wb") as clip:  # soundfile waits for the disk
                clip.setparams((1, 2, rate, 0, "NONE", ""))
                clip.writeframes((samples * (i % SILENT != 0)).tobytes())
            sex, emotion = ("female", "male")[speaker % 2], EMOTIONS[int(rng.integers(len(EMOTIONS)))]
            vad = rng.uniform(1, 5, 3).round(2)
            names = f"many/{i}", "many", f"many/s{speaker:03}", sex
            table.writerow([*names, f"clips/{i}.wav", emotion, *vad, f"these are the words of number {i}"])
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for branch in ("audio", "text"):
        params["data"][branch]["corpora"] = ["many.csv"]
    (place / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def peak(place: Path, stage: str) -> int:
    """Run a stage and return its peak memory in bytes."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", RUN, f"stages.{stage}"]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) * 1024


@pytest.mark.slow
def test_twenty_thousand_utterances_pass_in_flat_memory(tmp_path, capsys):
    peaks = {stage: {} for stage in ("fetch", "resample", "split")}
    for count in (FEW, MANY):
        place = tmp_path / str(count)
        make(place, count)
        for stage, found in peaks.items():
            found[count] = peak(place, stage)
        raw, kept = (read_manifest(place / f"data/{folder}/manifest.csv") for folder in ("raw/audio", "audio"))
        rejected = tables.read(place / "data/audio/rejected.csv", Rejection)
        assert raw["utterance"].tolist() == [f"many/{i}" for i in range(count)]
        assert len(rejected) == -(-count // SILENT) and rejected["reason"].str.startswith("digital silence").all()
        assert sorted([*kept["utterance"], *rejected["utterance"]]) == sorted(raw["utterance"])
        assert len(list((place / "data/audio").rglob("*.flac"))) == len(kept)
        audio, text = splits.read_audio(place / splits.AUDIO), splits.read_text(place / splits.TEXT)
        assert audio["utterance"].tolist() == kept["utterance"].tolist()
        assert text["utterance"].tolist() == raw["utterance"].tolist()
        assert audio["speaker"].nunique() == SPEAKERS
        assert (audio.groupby("speaker")["split"].nunique() == 1).all()
    with capsys.disabled():
        print("", *(f"{stage}: " + ", ".join(f"{n:,}: {b / 2**20:.0f} MiB" for n, b in found.items())
                    for stage, found in peaks.items()), sep="\n")  # fmt: skip
    for stage, found in peaks.items():
        assert found[MANY] - found[FEW] < (MANY - FEW) * ROW, stage


FRAMES, DIM, LAYERS = 40, 64, 3


def encodings(count: int):
    frames, statistics = np.ones((FRAMES, DIM), np.float32), np.ones((2, LAYERS, DIM), np.float32)
    return (store.StoredEncoding(f"many/{i}", store.ORIGINAL, frames * (i % 1_000), statistics) for i in range(count))


@pytest.mark.parametrize("few, many", [(300, 3_000), pytest.param(FEW, MANY, marks=pytest.mark.slow)])
def test_the_store_is_written_and_read_in_the_memory_of_its_index(tmp_path, few, many):
    def traced(count: int) -> int:
        folder = tmp_path / str(count)
        tracemalloc.start()
        store.write(folder, encodings(count), DIM, LAYERS, {})
        opened = store.Store(folder)
        for i, (utterance, _, frames, _) in enumerate(opened.encodings()):
            (length,) = opened.lengths(opened.rows([utterance]))
            assert (utterance, frames[-1, -1], length) == (f"many/{i}", i % 1_000, FRAMES)
        assert i == count - 1
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    traced(10)  # what is imported and kept at the first use
    row = 1024  # bytes, for the index; the frames of an utterance are five times that
    assert FRAMES * DIM * row_files.KIND.itemsize == 5 * row
    assert traced(many) - traced(few) < (many - few) * row
