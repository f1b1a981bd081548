"""The manifest: one row per utterance, the form in which every corpus enters the pipeline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

import pandas as pd
from pydantic import AfterValidator, Field

from emopipe.io import cache
from emopipe.io.errors import UserError
from emopipe.schemas import tables
from emopipe.schemas.tables import Number, Row

Emotion = Literal[
    "anger", "boredom", "calm", "contempt", "disgust", "excitement", "fear", "frustration",
    "happiness", "neutral", "other", "sadness", "surprise",
]  # fmt: skip
EMOTIONS: tuple[str, ...] = get_args(Emotion)
Dimension = Literal["valence", "arousal", "dominance"]
DIMENSIONS: tuple[str, ...] = get_args(Dimension)
SETS = ("train", "dev", "test")
SAMPLE_RATE = 16_000  # Hz, of the resampled recordings: what every backbone was trained on
LONGEST = 200  # bytes of one part of an identifier: file systems take 255, and suffixes are added


def _on_scale(value: float) -> float:
    if value < 1 or value > 5:  # NaN, an unknown value, passes
        raise ValueError("outside the scale of 1 to 5")
    return value


def _not_negative(value: float) -> float:
    if value < 0:
        raise ValueError("negative")
    return value


def _plain(value: str) -> str:
    """Check an identifier, which becomes a file name and must not leave its folder."""
    if any(part in ("", ".", "..") for part in value.split("/")) or re.search(r"[\\\x00-\x1f]", value):
        raise ValueError("must read corpus/name, without '..', backslashes or control characters")
    if any(len(part.encode()) > LONGEST for part in value.split("/")):
        raise ValueError(f"longer than {LONGEST} bytes, which a file system may not take for a name")
    return value


def _one_line(value: str) -> str:
    """Check that a path is one line: a quotation mark that is never closed draws the rows below into the cell."""
    if re.search(r"[\x00-\x1f]", value):
        raise ValueError("control character or line end; is a quotation mark not closed?")
    return value


Identifier = Annotated[str, Field(pattern=r"^[^/]+/.+$"), AfterValidator(_plain)]
Vad = Annotated[Number, AfterValidator(_on_scale)]
Seconds = Annotated[Number, AfterValidator(_not_negative)]
Set = Literal["train", "dev", "test"]
Sex = Literal["female", "male", "other", ""]


class Utterance(Row):
    """One utterance. An unknown text is empty, an unknown number NaN (an empty cell on disk)."""

    utterance: Identifier  # corpus/name, unique
    corpus: Annotated[str, Field(min_length=1)]
    speaker: Identifier | Literal[""] = ""  # corpus/id
    sex: Sex = ""
    session: str = ""
    language: str = ""  # ISO 639-1
    # Of the audio: relative to the manifest's folder, absolute, or below the download cache; empty for text alone.
    path: Annotated[str, AfterValidator(_one_line)] = ""
    start: Seconds = float("nan")  # where the utterance begins in the file; unknown: where the file does
    end: Seconds = float("nan")  # where it ends; unknown: where the file does
    sha256: str = ""  # of the audio file's content
    seconds: Seconds = float("nan")  # duration of the utterance
    emotion: Literal[Emotion, ""] = ""
    valence: Vad = float("nan")  # VAD on the 1..5 scale of the self-assessment manikins
    arousal: Vad = float("nan")
    dominance: Vad = float("nan")
    transcript: str = ""  # words that carry the emotion
    prompt: str = ""  # the scripted sentence of an acted corpus: says nothing about the emotion
    split: Literal[Set, ""] = ""  # the corpus's own official split


class Rejection(Row):
    """An utterance whose audio cannot be used, and why."""

    utterance: Identifier
    path: str
    reason: Annotated[str, Field(min_length=1)]


def read_manifest(path: Path, escaped: bool = True) -> pd.DataFrame:
    """Read a manifest; rows keep their order.

    Args:
        path: of the file
        escaped: whether the pipeline wrote it; False for the user's own

    Raises:
        UserError: naming row and column of each violation, or the identifiers that occur twice
    """
    frame = tables.read(path, Utterance, escaped)
    check_unique(frame, str(path))
    return frame


def write_manifest(frame: pd.DataFrame, path: Path, changed: Sequence[str] | None = None) -> None:
    """Check and write a manifest.

    Args:
        frame: the utterances
        path: of the file
        changed: for utterances that have been checked: the columns assigned since, which alone are checked; None: all

    Raises:
        UserError: naming row and column of each violation, or the identifiers that occur twice
    """
    check_unique(frame, str(path))
    tables.write(frame, path, Utterance, changed)


def check_unique(frame: pd.DataFrame, name: str) -> None:
    """Check that every utterance occurs once.

    Raises:
        UserError: naming those that occur more often
    """
    twice = frame.loc[frame["utterance"].duplicated(), "utterance"].unique()
    if len(twice):
        shown = ", ".join(twice[: tables.SHOWN])
        raise UserError(f"{name}: {len(twice)} utterance(s) occur more than once: {shown}; give each row its own name")


def audio_path(manifest: Path, path: str) -> Path:
    """Return where the audio file of a row of ``manifest`` is.

    Raises:
        UserError: if it belongs to a downloaded corpus that is not in the cache
    """
    if path.startswith(cache.PREFIX):
        return cache.located(path)
    return manifest.parent / path  # an absolute ``path`` replaces the folder
