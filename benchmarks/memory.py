"""Does the encode stage's memory grow with the corpus? Its peak on 10 minutes and on 2 hours of audio.

    python -m benchmarks.memory

Each corpus is clips of 1 to 7 s of noise; the stage runs as it is, with the default backbone, in a process
of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from emopipe.schemas.manifest import SAMPLE_RATE

ROOT = Path(__file__).parent.parent
MINUTES = (10, 120)
RUN = """
import re, runpy
runpy.run_module("stages.encode", run_name="__main__")
print(re.findall(r"VmHWM:.*", open("/proc/self/status").read())[0])
"""


def peak(minutes: float, place: Path) -> float:
    """Return the stage's peak memory in MiB on a corpus of this length, made below ``place``."""
    audio = place / "data/audio"
    audio.mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", place)
    rng = np.random.default_rng(0)
    rows, left = [], minutes * 60
    while left > 0:
        seconds = float(rng.uniform(1, 7))
        name = f"{len(rows):05}"
        noise = rng.standard_normal(round(seconds * SAMPLE_RATE)).astype(np.float32) * 0.1
        soundfile.write(audio / f"{name}.flac", noise, SAMPLE_RATE)
        rows.append({"utterance": f"noise/{name}", "corpus": "noise", "path": f"{name}.flac", "seconds": seconds})
        left -= seconds
    (audio / "manifest.csv").write_text(pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", RUN]
    done = subprocess.run(command, cwd=place, env=environment, check=True, capture_output=True, text=True)  # noqa: S603
    (kibibytes,) = re.findall(r"VmHWM:\s+(\d+) kB", done.stdout)
    return int(kibibytes) / 1024


def main() -> None:
    """Print both peaks and their ratio."""
    peaks = []
    for minutes in MINUTES:
        with tempfile.TemporaryDirectory() as place:
            peaks.append(peak(minutes, Path(place)))
        print(f"{minutes} minutes: {peaks[-1]:.0f} MiB at the peak", flush=True)
    print(f"ratio {peaks[1] / peaks[0]:.3f}")


if __name__ == "__main__":
    main()
