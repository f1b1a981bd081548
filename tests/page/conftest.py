"""A browser, and a small trained model."""

from helpers.browser import chromium  # noqa: F401 - a fixture
from helpers.trained import model, predicted, recordings  # noqa: F401 - fixtures
