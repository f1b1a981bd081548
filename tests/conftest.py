"""What several tests need."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_text import tiny  # noqa: F401 - a fixture of several files

SHARED = Path(__file__).parents[2] / "shared"  # real data and weights, where a developer has them


@pytest.fixture
def shared():
    """Return a function from a path below the folder of real data to where it lies; skips when it is absent."""

    def find(path: str) -> Path:
        found = SHARED / path
        if not found.exists():
            pytest.skip(f"real data not at hand: {found}")
        return found

    return find
