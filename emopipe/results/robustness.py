"""What metrics/robustness.json holds, as the figure and the report show it."""

from __future__ import annotations

from typing import Any

import pandas as pd

COLUMNS = [
    "name", "condition", "level", "score", "change", "low", "high", "unchanged", "change_above", "unchanged_above",
    "passed",
]  # fmt: skip


def table(found: dict[str, Any]) -> pd.DataFrame:
    """Return a row per condition and level, in the order in which they were tested.

    Args:
        found: content of metrics/robustness.json

    Returns:
        ``name`` (of condition and level), ``condition``, ``level``; ``score``, ``change``, its 95 % interval from
        ``low`` to ``high``, and ``unchanged``, the share of unchanged answers; ``change_above`` and
        ``unchanged_above``, the thresholds, and ``passed``: True, False, or None without a threshold
    """
    rows = []
    for condition, levels in found.get("conditions", {}).items():
        for level, one in levels.items():
            limits = {f"{name}_above": limit for name, limit in one.get("thresholds", {}).items()}
            names = {"name": _name(condition, level), "condition": condition, "level": level}
            rows.append(names | one | limits | {"passed": one.get("passed")})
    return pd.DataFrame(rows, columns=COLUMNS).astype({"passed": object})


def _name(condition: str, level: str) -> str:
    return f"{condition.replace('_', ' ')} {level}".removesuffix(" drawn")  # every utterance draws its own level
