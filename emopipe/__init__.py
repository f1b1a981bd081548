"""emopipe: emotion recognition from speech and text."""

from emopipe import environment  # noqa: F401 - first: it sets what libraries read when they are loaded
