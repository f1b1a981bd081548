"""The page: a template, its style and its pictures in one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

from emopipe.report.content import Content

HERE = Path(__file__).parent
TEMPLATES = ("page.html.j2", "tables.html.j2", "style.css")
INCH = 96  # CSS pixels
LARGE = 1.3  # a picture at most this much larger than in print


def render(content: Content, figures: list[Path], dpi: int) -> str:
    """Return the page.

    Args:
        content: what stands in it
        figures: PNG files; a picture that the content names and that is not among them is left out
        dpi: dots per inch of the pictures
    """
    templates = DictLoader({name: (HERE / name).read_text(encoding="utf-8") for name in TEMPLATES})
    environment = Environment(
        autoescape=True, loader=templates, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    images = {path.stem: _image(path.read_bytes(), dpi) for path in figures}
    return environment.get_template(TEMPLATES[0]).render(content=content, images=images)


def _image(png: bytes, dpi: int) -> dict[str, Any]:
    """Return a picture as data URI with its width, in CSS pixels: in print, and the largest on a screen."""
    inches = int.from_bytes(png[16:20], "big") / dpi  # PNG, section 11.2.1: IHDR begins with the width
    return {
        "source": "data:image/png;base64," + base64.b64encode(png).decode("ascii"),
        "width": round(inches * INCH),
        "largest": round(inches * INCH * LARGE),
    }
