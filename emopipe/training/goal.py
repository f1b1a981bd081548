"""What picks the epoch."""

from __future__ import annotations

from typing import NamedTuple


class Goal(NamedTuple):
    """The dev score that picks the epoch."""

    name: str
    greater_is_better: bool

    def best(self, history: list[dict[str, float]]) -> int:
        """Return the number of the best row, from 0; of equals the earliest."""
        values = [row[f"dev/{self.name}"] for row in history]
        return values.index(max(values) if self.greater_is_better else min(values))
