"""Parameters of the text regressor, and of what it is compared with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from emopipe.parameters import Count, Group, Name, Number, Positive, Share
from emopipe.training.parameters import Optimisation, RegressionLoss


class Text(Optimisation):
    """The regressor and its training."""

    KEY = "text"

    encoder: Name
    pooling: Literal["mean", "first"]
    dropout: Share
    max_tokens: Count
    ensemble_size: Count
    loss: RegressionLoss
    head_scale: Positive
    layer_decay: Annotated[Number, Field(gt=0, le=1)]


class Ends(Group):
    """Sentences from both ends of a dimension."""

    low: Annotated[list[str], Field(min_length=1)]
    high: Annotated[list[str], Field(min_length=1)]


class Anchors(Group):
    """Anchor sentences of every dimension."""

    valence: Ends
    arousal: Ends
    dominance: Ends


class Levels(Group):
    """Hypotheses on a dimension."""

    low: Name
    middle: Name
    high: Name


class Hypotheses(Group):
    """Hypotheses on every dimension."""

    valence: Levels
    arousal: Levels
    dominance: Levels


class Baselines(Group):
    """The zero-shot baselines of the regressor."""

    KEY = "evaluate"

    anchors: Anchors
    nli: Name | None
    hypotheses: Hypotheses
