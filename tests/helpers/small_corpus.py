"""A folder with the synthetic corpus, small, for stages that run in the tests' own process."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest
import yaml

from helpers.paths import ROOT
from stages import encode, fetch, finetune_audio, predict_audio, resample, split

SMALL = {"data.synthetic.speakers": 6, "data.synthetic.utterances": 6, "runtime.threads": 1, "data.text.corpora": []}


def write_params(folder: Path, changes: dict[str, object]) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    for key, value in changes.items():
        *path, last = key.split(".")
        group = params
        for name in path:
            group = group[name]
        assert last in group, key
        group[last] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


@pytest.fixture(scope="module")
def small_corpus(tmp_path_factory):
    """Return a folder with the synthetic corpus, resampled and split."""
    folder = tmp_path_factory.mktemp("corpus")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *author, "commit", "--quiet", "--allow-empty", "-m", "one"], cwd=folder, check=True)
    write_params(folder, SMALL)
    with contextlib.chdir(folder):
        fetch.main()
        resample.main()
        split.main()
    return folder


def train_small(folder: Path, backbone: Path, changes: dict[str, object]) -> None:
    """Train an audio model on the small corpus in a folder, and predict the test set."""
    small = {
        "model.backbone": str(backbone), "model.features": "frozen", "encode.max_seconds": 1.0, "model.hidden": 16,
    }  # fmt: skip
    with contextlib.chdir(folder):
        write_params(folder, SMALL | small | changes)
        for stage in (encode, finetune_audio, predict_audio):
            stage.main()
