"""params.yaml as a whole: every group there is, and what several groups must agree on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError, model_validator

from emopipe.audio.parameters import Model, Train
from emopipe.corpora.parameters import Corpora, Synthetic
from emopipe.encoding.parameters import Encode
from emopipe.export.parameters import Export
from emopipe.figures.parameters import Plot
from emopipe.forest.parameters import Forest
from emopipe.io.errors import UserError
from emopipe.parameters import Group, Runtime
from emopipe.recordings.parameters import Resample
from emopipe.robustness.parameters import Robustness
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.scoring.parameters import Calibrate
from emopipe.splits.parameters import Labels, Split
from emopipe.text.parameters import Baselines, Text
from emopipe.trust.parameters import Shortcuts


class Branch(Labels, Corpora):
    """The data of one branch."""


class Data(Group):
    """The data of both branches."""

    audio: Branch
    text: Branch
    synthetic: Synthetic


class Evaluate(Calibrate, Baselines):
    """What the trained models are compared with."""


class ParameterFile(Group):
    """The whole file."""

    data: Data
    resample: Resample
    split: Split
    model: Model
    encode: Encode
    train: Train
    text: Text
    forest: Forest
    evaluate: Evaluate
    shortcuts: Shortcuts
    robustness: Robustness
    export: Export
    plot: Plot
    runtime: Runtime

    @model_validator(mode="after")
    def _check_forest_inputs(self) -> ParameterFile:
        with_audio, missing = self.forest.inputs != "text", sorted(set(DIMENSIONS) - set(self.model.targets))
        if with_audio and self.model.task != "regression":
            raise ValueError(
                f"forest.inputs: {self.forest.inputs!r}: VAD from audio is that of a regression, but model.task is "
                "classification; set model.task=regression, or forest.inputs=text"
            )
        if with_audio and missing:
            raise ValueError(
                f"forest.inputs: {self.forest.inputs!r}: model.targets lacks {', '.join(missing)}; name all three "
                "dimensions, or set forest.inputs=text"
            )
        return self


def check(content: Any, path: Path) -> ParameterFile:
    """Return the content of a parameter file, typed.

    Args:
        content: as YAML has it
        path: of the file, for messages

    Raises:
        UserError: naming each unknown key, wrong type and value out of range by its full key
    """
    try:
        return ParameterFile.model_validate(content)
    except ValidationError as error:
        lines = [_violation(e) for e in error.errors()]
        raise UserError(f"{path}: {len(lines)} invalid value(s)\n  " + "\n  ".join(dict.fromkeys(lines))) from None


def _violation(error: Any) -> str:
    key = ""
    for part in error["loc"]:
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
    key = key.removeprefix(".")
    match error["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key; the keys here are {', '.join(_keys(error['loc'][:-1]))}"
        case "missing":
            return f"{key}: missing"
        case _ if not key:  # what several groups are together wrong about
            return error["msg"].removeprefix("Value error, ")
        case _:
            return f"{key}: {error['input']!r}: {error['msg'].removeprefix('Value error, ')}"


def _keys(location: tuple[int | str, ...]) -> list[str]:
    group: Any = ParameterFile
    for name in location:
        group = group.model_fields[name].annotation
    return list(group.model_fields)
