"""Parameters of the backbone and of what it encodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from emopipe.conditions.catalogue import CONDITIONS
from emopipe.conditions.parameters import ConditionName
from emopipe.parameters import Group, Number, OrNone, Positive, Precision


def _other_speeds(value: list[float]) -> list[float]:
    if len({1.0, *value}) <= len(value):
        raise ValueError("each speed once, and not 1, at which every utterance is encoded anyway")
    return value


def _alone(value: list[str]) -> list[str]:
    if len(set(value)) < len(value):
        raise ValueError("each condition once")
    if mixed := [name for name in value if CONDITIONS[name].needs_others]:
        raise ValueError(
            f"{', '.join(mixed)}: other speakers are mixed in, and which of them are not test speakers is not known "
            "before the split; leave it out"
        )
    return value


class Encode(Group):
    """What is encoded of an utterance."""

    KEY = "encode"

    max_seconds: Positive
    speed_perturbation: Annotated[list[Annotated[Number, Field(ge=0.5, le=2)]], AfterValidator(_other_speeds), OrNone]
    conditions: Annotated[list[ConditionName], AfterValidator(_alone), OrNone]
    precision: Precision

    @classmethod
    def of(cls, provenance: Mapping[str, Any]) -> Encode:
        """Return what a model was made with, by its provenance, which older ones have without ``conditions``."""
        return cls.model_validate(
            {name: provenance[name] for name in cls.model_fields if name != "conditions"}
            | {"conditions": provenance.get("conditions")}
        )
