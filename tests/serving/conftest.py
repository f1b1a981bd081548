"""A service with a small trained model."""

from __future__ import annotations

import pytest

from helpers.served import Served
from helpers.trained import model, predicted, recordings  # noqa: F401 - fixtures


@pytest.fixture(scope="module")
def served(model, tmp_path_factory):  # noqa: F811
    """Return a service with narrow limits."""
    limits = ["--max-bytes", 2_000_000, "--max-seconds", 20, "--workers", 2, "--queue", 8, "--streams", 3]
    service = Served(model, tmp_path_factory.mktemp("served"), *limits)
    yield service
    service.end()
