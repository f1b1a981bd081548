"""The kinds of value that parameters have."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, Strict

# YAML writers disagree on how 1e-5 is spelled, and PyYAML reads that spelling as text: take it as a number.
Number = Annotated[float, Strict(False)]
Positive = Annotated[Number, Field(gt=0)]
Share = Annotated[Number, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Precision = Literal["float32", "bfloat16"]
RegressionLoss = Literal["ccc", "pcc", "mse", "mae", "mse_ccc"]


class Group(BaseModel):
    """Base of the groups: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
