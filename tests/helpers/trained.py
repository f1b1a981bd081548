"""A small trained model, its recordings, and what `emopipe predict` answers by it."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from emopipe.commands.main import main
from helpers.small_corpus import train_small


@pytest.fixture(scope="module")
def model(small_corpus, folder):
    """Return the folder of a small trained model."""
    train_small(small_corpus, folder, {"model.ensemble_size": 2, "train.epochs": 2})
    return small_corpus / "models/audio"


@pytest.fixture(scope="module")
def recordings(model):
    """Return the files of the corpus."""
    return sorted((model.parents[1] / "data/raw/audio").rglob("*.wav"))


@pytest.fixture(scope="module")
def predicted(model, tmp_path_factory):
    """Return a function from recordings' contents to what `emopipe predict` writes of each, but for the file."""
    folder = tmp_path_factory.mktemp("predicted")

    def rows(contents: list[bytes], *words: str, name: str = "recording") -> list[list[dict]]:
        paths = [folder / f"{number}" / name for number in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        with pytest.MonkeyPatch.context() as patch:
            named = [*paths, "--model", model, "--device", "cpu", "--output", folder / "rows.json", *words]
            patch.setattr("sys.argv", ["emopipe", "predict", *map(str, named)])
            with contextlib.suppress(SystemExit):  # of what could not be answered
                main()
        found = [[] for _ in paths]
        for row in json.loads((folder / "rows.json").read_text()):
            found[paths.index(Path(row.pop("file")))].append(row)
        return found

    return rows
