"""The page: a template, its style and its pictures in one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml
from jinja2 import DictLoader, Environment, StrictUndefined

HERE = Path(__file__).parent
TEMPLATES = ("page.html.j2", "tables.html.j2", "style.css")
INCH = 96  # CSS pixels
LARGE = 1.3  # a picture at most this much larger than in print
LEAST_P = 0.001  # a smaller p is not told apart


def render(content: dict[str, Any], figures: list[Path], dpi: int) -> str:
    """Return the page.

    Args:
        content: what the template names, see ``page.html.j2``
        figures: PNG files; a picture that the template names and that is not among them is left out
        dpi: dots per inch of the pictures
    """
    templates = DictLoader({name: (HERE / name).read_text(encoding="utf-8") for name in TEMPLATES})
    environment = Environment(
        autoescape=True, loader=templates, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"score": score, "p": p_value, "yaml": _yaml}
    images = {path.stem: _image(path.read_bytes(), dpi) for path in figures}
    return environment.get_template(TEMPLATES[0]).render(without_folders(content), images=images)


def score(value: float | None, sign: str = "") -> str:
    """Return a number with three digits after the point, a dash where there is none.

    >>> score(0.12345), score(-0.5), score(0.5, "+"), score(None)
    ('0.123', '−0.500', '+0.500', '–')
    """
    return "–" if value is None or value != value else f"{value:{sign}.3f}".replace("-", "−")


def p_value(value: float | None) -> str:
    """Return a probability, none below 0.001.

    >>> p_value(0.0421), p_value(1e-9), p_value(None)
    ('0.042', '< 0.001', '–')
    """
    return f"< {LEAST_P}" if value is not None and value < LEAST_P else score(value)


def without_folders(value: Any) -> Any:
    """Return a value in which the path of a file or folder is its name: where it lies is nobody else's business.

    >>> without_folders({"corpora": ["emodb:/data/emodb", "demo", "mine.csv"], "backbone": "/weights/base"})
    {'corpora': ['emodb:…/emodb', 'demo', 'mine.csv'], 'backbone': '…/base'}
    """
    if isinstance(value, dict):
        return {key: without_folders(part) for key, part in value.items()}
    if isinstance(value, list):
        return [without_folders(part) for part in value]
    if not isinstance(value, str):
        return value
    key, colon, folder = ("", "", value) if value.startswith("/") else value.partition(":")
    return f"{key}{colon}…/{Path(folder).name}" if folder.startswith("/") else value


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def _image(png: bytes, dpi: int) -> dict[str, Any]:
    """Return a picture as data URI with its width, in CSS pixels: in print, and the largest on a screen."""
    inches = int.from_bytes(png[16:20], "big") / dpi  # PNG, section 11.2.1: IHDR begins with the width
    return {
        "source": "data:image/png;base64," + base64.b64encode(png).decode("ascii"),
        "width": round(inches * INCH),
        "largest": round(inches * INCH * LARGE),
    }
