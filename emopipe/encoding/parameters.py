"""Parameters of the backbone and of what it encodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, model_validator

from emopipe.conditions.catalogue import CONDITIONS, levels_of
from emopipe.conditions.parameters import ConditionName
from emopipe.parameters import Count, Group, Number, OrNone, Positive, Precision

SINCE = {"conditions": None, "condition_draws": 1}  # parameters that a model trained before they came does not name


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
    condition_draws: Count
    precision: Precision

    @property
    def versions(self) -> int:
        """Return how many times an utterance is encoded, once as it was recorded."""
        return 1 + len(self.speed_perturbation) + (self.condition_draws if self.conditions else 0)

    @model_validator(mode="after")
    def _check_draws(self) -> Encode:
        if self.conditions and self.condition_draws > (found := len(levels_of(self.conditions))):
            raise ValueError(
                f"encode.condition_draws: {self.condition_draws}, but encode.conditions have {found} levels, of which "
                "each is drawn once at most"
            )
        return self

    @classmethod
    def of(cls, provenance: Mapping[str, Any]) -> Encode:
        """Return what a model was made with, by its provenance; older ones lack what came later."""
        return cls.model_validate(SINCE | {name: provenance[name] for name in cls.model_fields if name in provenance})
