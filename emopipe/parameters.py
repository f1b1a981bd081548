"""Typed parameters: what a group of params.yaml may hold, and how a stage reads it.

Each package declares the groups that configure it, in its own ``parameters.py``. A stage loads the groups that it lists
in dvc.yaml, and those alone, so that no value can act on a stage that DVC does not know to rerun::

    model, train = Model.load(), Train.load()

A group may be a view of another one: ``BackboneChoice`` reads three keys of ``model``, and a stage that loads it
depends on these three.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

from emopipe.io.errors import UserError

PATH = Path("params.yaml")

# YAML writers disagree on how 1e-5 is spelled, and PyYAML reads that spelling as text: take it as a number.
Number = Annotated[float, Strict(False)]
Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, Field(min_length=1)]
Precision = Literal["float32", "bfloat16"]
# A list that may be empty is written null: where an experiment sets a list to [] after another one has been applied,
# DVC writes a params.yaml that it cannot read any more.
OrNone = BeforeValidator(lambda value: [] if value is None else value)


class Group(BaseModel):
    """Base of the groups: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    KEY: ClassVar[str] = ""  # where it stands in params.yaml, such as ``split.audio``

    @classmethod
    def load(cls, key: str | None = None, path: Path = PATH) -> Self:
        """Return this group of the parameter file, of which only the fields of the class are read.

        The whole file is checked first, so that a typo stops the first stage and not the last.

        Args:
            key: where the group stands, where that is not its ``KEY``
            path: of the file

        Raises:
            UserError: naming each unknown key, wrong type and value out of range by its full key
        """
        group: Any = _checked(_read(path), path)
        for name in filter(None, (key or cls.KEY).split(".")):
            group = group[name]
        return cls.model_validate({name: group[name] for name in cls.model_fields})


class Runtime(Group):
    """How a stage runs. No stage lists it, for it changes no result."""

    KEY = "runtime"

    engine: Literal["local", "ray"]
    address: Name
    device: Literal["auto", "cpu", "cuda"]
    processes: Count
    threads: Count
    workers: Count
    tensorboard: str | None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run this in the folder that holds dvc.yaml") from None


@cache
def _checked(text: str, path: Path) -> dict[str, Any]:
    """Return the content of a parameter file after a check of all of it, which is made once for one text."""
    from emopipe import parameter_file  # it knows every group, and can only stop a run: no stage depends on it

    try:
        content = yaml.safe_load(text)
        _require_keys_once(yaml.compose(text, Loader=yaml.SafeLoader), path)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    parameter_file.check(content, path)
    return content


def _require_keys_once(node: yaml.Node | None, path: Path) -> None:
    """Check that no key stands twice in a group: YAML would take the last one without a word."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.value in seen:
            raise UserError(f"{path}: {key.value} stands twice in one group, in the lines {seen[key.value]} and {line}")
        seen[key.value] = line
        _require_keys_once(value, path)
