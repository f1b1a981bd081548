"""What an exported file is checked on: the test set of the pipeline that the model lies in, or what is named."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Generic, TypeVar

import pandas as pd

from emopipe.io.errors import UserError
from emopipe.recognition.inputs import inputs
from emopipe.recordings import resampled
from emopipe.recordings.reading import RejectedError
from emopipe.recordings.resampled import MANIFEST
from emopipe.recordings.resampling import convert
from emopipe.schemas import splits

NAMED = "name some: --verify"

Item = TypeVar("Item")


@dataclass(frozen=True)
class Material(Generic[Item]):
    """Inputs, and the truth where it is known."""

    name: str
    items: Sequence[Item]  # recordings at 16 kHz with one channel, or texts
    truth: pd.DataFrame | None  # a row for every item, with ``emotion`` and the dimensions


def pipeline_of(model: Path) -> Path:
    """Return the folder that holds models/audio and the like: where the data of the pipeline would lie, too."""
    return model.absolute().parent.parent


def corpora(model: Path, split: Path) -> list[str]:
    """Return what a model was trained on; empty where its pipeline is not there.

    Args:
        model: its folder
        split: where a pipeline has the split of its branch
    """
    path = pipeline_of(model) / split
    if not path.is_file():
        return []
    rows = (splits.read_audio if split == splits.AUDIO else splits.read_text)(path)
    return sorted(set(rows.loc[rows["split"] != "test", "corpus"]))


@contextmanager
def recordings(model: Path, named: str | None) -> Iterator[Material[Path]]:
    """Yield recordings for an audio model.

    Args:
        model: its folder
        named: recordings, as of `emopipe predict`, which are converted for the while; None: the test set of the
            pipeline

    Raises:
        UserError: if there are none
    """
    if named is not None:
        with TemporaryDirectory() as folder:
            yield Material(named, _converted(named, Path(folder)), None)
        return
    root = pipeline_of(model)
    if not ((root / splits.AUDIO).is_file() and (root / MANIFEST).is_file()):
        raise UserError(f"{model}: no {splits.AUDIO} and {MANIFEST} beside it to compare on; {NAMED} RECORDINGS")
    rows = splits.read_audio(root / splits.AUDIO)
    rows = rows[rows["split"] == "test"].reset_index(drop=True)
    found = resampled.files(rows["utterance"], root / MANIFEST)
    if not found:
        raise UserError(f"{root / splits.AUDIO}: no test set to compare on; {NAMED} RECORDINGS")
    yield Material(f"the test set of {splits.AUDIO}", found, rows)


def _converted(named: str, folder: Path) -> list[Path]:
    found: list[Path] = []
    for one in inputs([named]):
        target = folder / f"{len(found)}.flac"
        with suppress(RejectedError):  # there is no answer to compare
            convert(one.recording, target)
            found.append(target)
    if not found:
        raise UserError(f"{named}: no recording that could be answered")
    return found
