"""Parameters of the backbone."""

from __future__ import annotations

from typing import Literal

from emopipe.parameters import Count, Group, Name, Natural


class BackboneChoice(Group):
    """Which network encodes, how much of it is left to training, and whether frames are read at all."""

    KEY = "model"

    backbone: Name
    output_layer: Count | None
    trainable_layers: Natural | Literal["all"]
    features: Literal["frozen", "tuned_layers", "finetuned", "both"]
