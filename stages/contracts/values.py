"""The kinds of value that parameters have."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

from stages.contracts.manifest import Dimension

# YAML writers disagree on how 1e-5 is spelled, and PyYAML reads that spelling as text: take it as a number.
Number = Annotated[float, Strict(False)]
Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Precision = Literal["float32", "bfloat16"]
RegressionLoss = Literal["ccc", "pcc", "mse", "mae", "mse_ccc"]


def _sum_to_one(value: list[float]) -> list[float]:
    if abs(sum(value) - 1) > 1e-6:
        raise ValueError("the shares of train, dev and test must add up to 1")
    return value


def _each_once(value: list[str]) -> list[str]:
    if len(set(value)) < len(value):
        raise ValueError("names a dimension twice")
    return value


def _other_speeds(value: list[float]) -> list[float]:
    if len({1.0, *value}) <= len(value):
        raise ValueError("each speed once, and not 1, at which every utterance is heard anyway")
    return value


Fractions = Annotated[list[Positive], Field(min_length=3, max_length=3), AfterValidator(_sum_to_one)]
Dimensions = Annotated[list[Dimension], Field(min_length=1), AfterValidator(_each_once)]
Speeds = Annotated[list[Annotated[Number, Field(ge=0.5, le=2)]], AfterValidator(_other_speeds)]


class Group(BaseModel):
    """Base of the groups: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
