"""Parameters of the backbone and of what it encodes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from emopipe.parameters import Count, Group, Name, Natural, Number, OrNone, Positive, Precision


def _other_speeds(value: list[float]) -> list[float]:
    if len({1.0, *value}) <= len(value):
        raise ValueError("each speed once, and not 1, at which every utterance is encoded anyway")
    return value


class BackboneChoice(Group):
    """Which network encodes, how much of it is left to training, and whether frames are read at all."""

    KEY = "model"

    backbone: Name
    output_layer: Count | None
    trainable_layers: Natural | Literal["all"]
    features: Literal["frozen", "tuned_layers", "finetuned", "both"]


class Encode(Group):
    """What is encoded of an utterance."""

    KEY = "encode"

    max_seconds: Positive
    speed_perturbation: Annotated[list[Annotated[Number, Field(ge=0.5, le=2)]], AfterValidator(_other_speeds), OrNone]
    precision: Precision
