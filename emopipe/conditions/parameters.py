"""Names of conditions as parameters."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from emopipe.conditions.catalogue import CONDITIONS
from emopipe.schemas.labels import nearest


def _known(name: str) -> str:
    if name not in CONDITIONS:
        near = nearest(name, list(CONDITIONS))
        raise ValueError(f"no condition; did you mean {near}?" if near else f"no condition: {', '.join(CONDITIONS)}")
    return name


ConditionName = Annotated[str, AfterValidator(_known)]
