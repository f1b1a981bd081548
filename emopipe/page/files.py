"""The files of the page that are the same whoever answers."""

from __future__ import annotations

from importlib.resources import files


def read() -> dict[str, bytes]:
    """Return the files by name; ``index.html`` is the page."""
    folder = files("emopipe.page") / "files"
    return {one.name: one.read_bytes() for one in sorted(folder.iterdir(), key=lambda one: one.name)}
