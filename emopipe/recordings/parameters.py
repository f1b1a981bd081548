"""Parameters of resampling."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from emopipe.parameters import Group, Number


class Resample(Group):
    """When to stop for unusable recordings."""

    KEY = "resample"

    max_rejected: Annotated[Number, Field(ge=0, le=1)]
