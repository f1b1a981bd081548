"""What a stage writes is there whole or not at all: on recordings of noise, quick; test_faults.py has every stage.

The stages run as DVC runs them, each a process of its own.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile
from safetensors.torch import save_file

from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write
from emopipe.schemas import tables
from emopipe.schemas.manifest import Utterance, write_manifest
from helpers.paths import ROOT
from helpers.processes import ALONE, as_anybody, end, kill, mounted, start_stage, writes_at_most
from helpers.stage_outputs import OUTPUTS, clear, made, whole
from stages import resample


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """Return a folder with what the resample stage reads, and what it makes of it."""
    tmp_path = tmp_path_factory.mktemp("noisy")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    draw = np.random.default_rng(1)
    rows = []
    for i in range(24):
        path = tmp_path / "recordings" / f"{i}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, draw.uniform(-0.5, 0.5, 44_100 * 4), 44_100)
        rows.append({"utterance": f"x/{i}", "corpus": "x", "speaker": f"x/{i % 6}", "path": str(path)})
    for i, row in enumerate(rows):
        row |= {"emotion": ("fear", "anger")[i // 6 % 2], "transcript": f"Number {i}."}
    manifest = tables.check(rows, Utterance, "rows")
    write_manifest(manifest, tmp_path / resample.RAW)
    write_manifest(manifest.assign(path=""), tmp_path / "data/raw/text.csv")
    end(start_stage(tmp_path, "resample"))
    return tmp_path


def test_a_killed_resampling_leaves_no_process_and_ends_in_the_same_bytes(noisy):
    expected = made(noisy, "resample")
    assert len(expected) == 26
    for number in (signal.SIGTERM, signal.SIGKILL):
        clear(noisy, "resample")
        process = start_stage(noisy, "resample")
        while not list(noisy.glob(".checkpoints/resample/*/*/*.flac")):
            assert process.poll() is None
            time.sleep(0.005)
        kill(process, number)
        whole(noisy, "resample", expected)
        assert not (noisy / resample.MANIFEST).exists()
    process = start_stage(noisy, "resample")
    while not (workers := psutil.Process(process.pid).children()):
        time.sleep(0.005)
    workers[0].kill()
    assert "a process that resamples was killed" in end(process, expected=1)
    end(start_stage(noisy, "resample"))
    assert made(noisy, "resample") == expected  # nothing is left of what was being written


@pytest.mark.parametrize("fault", ["full", "limited", "read-only", "forbidden"])
def test_what_cannot_be_written_is_one_message_and_the_next_run_finishes(noisy, fault):
    clear(noisy, "split")
    splits = noisy / "data/splits"
    splits.mkdir(exist_ok=True)
    before, limit = [], None
    if fault == "full":
        before = mounted(splits, "size=4k,nr_inodes=2")
    elif fault == "limited":
        limit = writes_at_most(600)
    elif fault == "read-only":
        before = mounted(splits, "ro")
    else:
        before = as_anybody()
        splits.chmod(0o555)
    printed = end(start_stage(noisy, "split", before, limit), expected=1)
    splits.chmod(0o755)
    reason = {
        "full": "No space left on device; make room on that disk",
        "limited": "File too large; raise the limit on the size of files",
        "read-only": "Read-only file system; mount that file system for writing",
        "forbidden": "Permission denied; give yourself the right to it",
    }[fault]
    assert printed.count("\n") == 1
    assert printed.startswith("error: data/splits/") and f".csv: {reason}" in printed and ", then run again" in printed
    assert not made(noisy, "split")  # not a half of a file
    end(start_stage(noisy, "split"))
    assert len(made(noisy, "split")) == len(OUTPUTS["split"])


def test_a_source_that_may_not_be_read_is_listed_with_its_reason(noisy):
    before = as_anybody()
    (noisy / "recordings/3.wav").chmod(0)
    end(start_stage(noisy, "resample", before))
    (noisy / "recordings/3.wav").chmod(0o644)
    rejected = (noisy / resample.REJECTED).read_text().splitlines()
    assert rejected[1:] == [f"x/3,{noisy}/recordings/3.wav,cannot be opened: Permission denied"]


def test_a_file_keeps_its_content_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "deep" / "table [1].csv"
    with atomic_write(path) as part:
        part.write_text("old")
    with (
        pytest.raises(UserError, match=r"table \[1\].csv: No space left on device; make room"),
        atomic_write(path) as part,
    ):
        part.write_text("new, and not")
        with Path("/dev/full").open("w") as full:
            full.write("all of it")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as part:  # a fault of the program is not called another
        part.write_text(str(1 / 0))
    assert [file.read_text() for file in path.parent.iterdir()] == ["old"]


def test_of_two_runs_that_write_one_file_one_is_whole_and_the_other_fails(tmp_path):
    path = tmp_path / "table.csv"
    second = f"from pathlib import Path; from emopipe.schemas.tables import write_csv; import pandas; " \
        f"write_csv(pandas.DataFrame({{'a': [2]}}), Path({str(path)!r}))"  # fmt: skip
    with (
        pytest.raises(UserError, match=r"table\.csv: another run has written it meanwhile"),
        atomic_write(path) as part,
    ):
        part.write_text("a\n1")
        subprocess.run([sys.executable, "-c", second], env=ALONE, check=True)
    assert path.read_text() == "a\n2\n"
    assert list(tmp_path.iterdir()) == [path]


def test_weights_may_be_read_by_whom_other_files_may_be_read_by(tmp_path):
    for name, content in (("plain", lambda part: part.write_text("x")), ("weights", partial(save_file, {}))):
        with atomic_write(tmp_path / name) as part:
            content(part)
    assert (tmp_path / "plain").stat().st_mode == (tmp_path / "weights").stat().st_mode
