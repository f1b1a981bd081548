"""emopipe: emotion recognition from speech and text."""

from importlib import import_module
from typing import Any

from emopipe import environment  # noqa: F401 - first: it sets what libraries read when they are loaded

PUBLIC = {  # loaded when they are asked for: PyTorch takes seconds
    "BothRecognizer": "emopipe.recognition.both",
    "Recognizer": "emopipe.recognition.speech",
    "TextRecognizer": "emopipe.recognition.text",
}


def __getattr__(name: str) -> Any:
    """Load what a user of trained models needs, such as ``emopipe.Recognizer``, when it is asked for."""
    if name in PUBLIC:
        return getattr(import_module(PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
