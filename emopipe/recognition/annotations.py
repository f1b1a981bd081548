"""The segments of one recording as a document for programs that show annotations along the sound.

============  ===========  ==============================================================================
``textgrid``  .TextGrid    Praat: a tier each of emotion and confidence, or valence, arousal and
                           dominance; of spread, status and reason
``eaf``       .eaf         ELAN: the same tiers, and the recording linked
``audacity``  .txt         labels: the emotion or the dimensions; in brackets the status of what has no answer, and
                           the reason
``webvtt``    .vtt         captions: the emotion or the dimensions of what has an answer
============  ===========  ==============================================================================

A tier holds nothing but what its name says; what has no answer is empty there (in Praat an interval without a text, in
ELAN none), and the tiers status and reason tell why. The probability of every emotion is in the tables alone
(:mod:`emopipe.recognition.tables`).

Segments that overlap, as windows do whose hop is shorter than their length: in Praat intervals cannot, so every tier is
one of points then, in the middle of the windows; in ELAN they take turns in tiers of their own, ``emotion``,
``emotion 2`` and so on. Labels and captions may overlap.

Times are rounded to 0.1 ms for Praat, 1 µs for Audacity and 1 ms for ELAN and WebVTT. No segment vanishes by that, and
none that touched overlap; an overlap of 1 ms or less is taken for such a rounding, and removed.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write, write_text
from emopipe.recognition.tables import one_line
from emopipe.schemas.manifest import DIMENSIONS

Row = Mapping[str, Any]

SUFFIXES = {"textgrid": ".TextGrid", "eaf": ".eaf", "audacity": ".txt", "webvtt": ".vtt"}
# Steps of time per second. Praat's are no finer, for praatio writes 0.00001 as 1e-05, which it cannot read itself.
STEPS = {"textgrid": 10_000, "eaf": 1000, "audacity": 1_000_000, "webvtt": 1000}
TIERS = ("emotion", "set", "confidence", *DIMENSIONS, "spread", "status", "reason")
TOUCHING = 0.001  # s; segments that overlap by no more are neighbours whose times were rounded
MIME = {
    ".avi": "video/*", ".m4v": "video/mp4", ".mkv": "video/*", ".mov": "video/quicktime", ".mp4": "video/mp4",
    ".mpeg": "video/mpeg", ".mpg": "video/mpeg", ".wav": "audio/x-wav", ".webm": "video/*", ".wmv": "video/*",
}  # fmt: skip
"""What ELAN calls kinds of media; all others are ``audio/*``."""


class Span(NamedTuple):
    """A segment on the grid of a format: start and end in its steps, and the answer."""

    start: int
    end: int
    row: Row


def check(kind: str) -> None:
    """Check, before any work, that a kind of document can be written.

    Raises:
        UserError: if the package for it is not installed
    """
    if kind == "textgrid":
        try:
            import praatio.textgrid  # noqa: F401 - is it there?
        except ImportError:
            raise UserError("textgrid: no package praatio; `pip install 'emopipe[praat]'`") from None


def write(rows: Sequence[Row], recording: Path, seconds: float, kind: str, target: Path) -> None:
    """Write the answers to the segments of one recording; the same answers give the same bytes.

    Args:
        rows: an answer each, with the names that :class:`emopipe.recognition.speech.Recognizer` gives them: start and
            end in seconds (None or NaN: those of the recording), status and reason, and what of :data:`TIERS` there is
        recording: the file, which ELAN opens together with the document
        seconds: how long it is; NaN where that is unknown: to where the last segment ends
        kind: a key of :data:`SUFFIXES`
        target: the document, whose folder is created

    Raises:
        UserError: if the package for it is not installed, it cannot be written, or the recording is too short to hold
            so many segments
    """
    check(kind)
    times = [(_known(row.get("start"), 0.0), _known(row.get("end"), seconds)) for row in rows]
    if math.isnan(seconds):
        seconds = max((time for pair in times for time in pair if not math.isnan(time)), default=0.0)
    end = max(round(seconds * STEPS[kind]), 1)
    layers = [_arranged(layer, end, recording) for layer in _layers(rows, times, seconds, STEPS[kind])]
    match kind:
        case "textgrid":
            _text_grid(layers, max(seconds, 1 / STEPS[kind]), end, target)
        case "eaf":
            write_text(_eaf(layers, recording, target), target)
        case "audacity":
            write_text(_labels(layers), target)
        case "webvtt":
            write_text(_captions(layers), target)


def _known(time: float | None, otherwise: float) -> float:
    return otherwise if time is None or math.isnan(time) else time


def _layers(rows: Sequence[Row], times: Sequence[tuple[float, float]], seconds: float, steps: int) -> list[list[Span]]:
    """Return the segments in order of time, in as many layers as it takes that none overlaps another of its layer."""
    layers: list[list[Span]] = []
    free: list[float] = []  # s, from where on each layer is
    bounded = [tuple(min(max(_known(time, seconds), 0.0), seconds) for time in pair) for pair in times]
    for number in sorted(range(len(rows)), key=bounded.__getitem__):
        start, end = bounded[number]
        layer = next((i for i, time in enumerate(free) if start >= time - TOUCHING), len(layers))
        if layer == len(layers):
            layers.append([])
            free.append(0.0)
        free[layer] = end
        layers[layer].append(Span(round(start * steps), round(end * steps), rows[number]))
    return layers


def _arranged(spans: Sequence[Span], end: int, recording: Path) -> list[Span]:
    """Return spans from 0 to ``end``, moved as little as it takes that each is a step long and none overlaps another.

    Raises:
        UserError: if there are more of them than steps
    """
    if len(spans) > end:
        raise UserError(f"{recording}: too short for {len(spans)} segments; choose csv or json, which take any times")
    later: list[Span] = []
    at = 0
    for span in spans:
        start = max(span.start, at)
        at = max(span.end, start + 1)
        later.append(Span(start, at, span.row))
    arranged: list[Span] = []
    at = end
    for span in reversed(later):
        last = min(span.end, at)
        at = min(span.start, last - 1)
        arranged.append(Span(at, last, span.row))
    return arranged[::-1]


def _tiers(rows: Iterable[Row]) -> list[str]:
    names = {name for row in rows for name in row}
    return [name for name in TIERS if name in names]


def _text(value: Any) -> str:
    """Return what stands in a tier: one line; numbers with three digits, which an eye can take in."""
    if isinstance(value, float):
        return f"{value:.3f}" if math.isfinite(value) else ""
    return "" if value is None else one_line(str(value)).strip()


def in_words(row: Row) -> str:
    """Return an answer in words, empty where there is none."""
    if emotion := _text(row.get("emotion")):
        return emotion
    return ", ".join(f"{name} {row[name]:.1f}" for name in DIMENSIONS if _text(row.get(name)))


def _text_grid(layers: list[list[Span]], seconds: float, end: int, target: Path) -> None:
    from praatio import textgrid

    def time(step: int) -> float:
        return float(seconds) if step == end else step / STEPS["textgrid"]

    grid = textgrid.Textgrid(0.0, time(end))
    spans = sorted((span for layer in layers for span in layer), key=lambda span: span[:2])
    middles = [Span((span.start + span.end) // 2, 0, span.row) for span in spans]
    points = _arranged(sorted(middles, key=lambda span: span.start), end, target)  # no two at the same time
    for name in _tiers(span.row for span in spans):
        if len(layers) == 1:
            marks = [(time(span.start), time(span.end), text) for span in spans if (text := _text(span.row.get(name)))]
            tier = textgrid.IntervalTier(name, marks, 0.0, time(end))
        else:
            marks = [(time(span.start), text) for span in points if (text := _text(span.row.get(name)))]
            tier = textgrid.PointTier(name, marks, 0.0, time(end))
        grid.addTier(tier, reportingMode="error")
    with atomic_write(target) as part:
        grid.save(str(part), "long_textgrid", includeBlankSpaces=True, reportingMode="error")


def _eaf(layers: list[list[Span]], recording: Path, target: Path) -> str:
    """Return an ELAN annotation document, EAF 3.0 (Max Planck Institute for Psycholinguistics, 2016).

    The date of a document is required; a fixed one keeps the bytes the same. Every annotation has slots of time of its
    own, so that moving it in ELAN moves no other.
    """
    tiers: dict[str, list[tuple[Span, str]]] = {}
    for number, layer in enumerate(layers, start=1):
        for name in _tiers(span.row for spans in layers for span in spans):
            marks = [(span, text) for span in layer if (text := _text(span.row.get(name)))]
            tiers[name if number == 1 else f"{name} {number}"] = marks
    spans = [span for marks in tiers.values() for span, _ in marks]
    edges = sorted((span[side], number, side) for number, span in enumerate(spans) for side in (0, 1))
    slots = {edge[1:]: f"ts{slot}" for slot, edge in enumerate(edges, start=1)}

    document = ET.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "emopipe",
            "DATE": "1970-01-01T00:00:00+00:00",
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": "http://www.mpi.nl/tools/elan/EAFv3.0.xsd",
        },
    )
    header = ET.SubElement(document, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    ET.SubElement(header, "MEDIA_DESCRIPTOR", _link(recording, target))
    ET.SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId").text = str(len(spans))
    order = ET.SubElement(document, "TIME_ORDER")
    for time, *edge in edges:
        ET.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slots[tuple(edge)], TIME_VALUE=str(time))
    number = 0
    for name, marks in tiers.items():
        tier = ET.SubElement(document, "TIER", LINGUISTIC_TYPE_REF="default-lt", TIER_ID=name)
        for _, text in marks:
            names = {
                "ANNOTATION_ID": f"a{number + 1}",
                "TIME_SLOT_REF1": slots[number, 0],
                "TIME_SLOT_REF2": slots[number, 1],
            }
            annotation = ET.SubElement(ET.SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", names)
            ET.SubElement(annotation, "ANNOTATION_VALUE").text = text
            number += 1
    kind = {"GRAPHIC_REFERENCES": "false", "LINGUISTIC_TYPE_ID": "default-lt", "TIME_ALIGNABLE": "true"}
    ET.SubElement(document, "LINGUISTIC_TYPE", kind)
    ET.indent(document)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(document, encoding="unicode")}\n'


def _link(recording: Path, target: Path) -> dict[str, str]:
    """Return how ELAN names a recording: it takes both places as they are, without the escapes of an URL."""
    place = recording.absolute()
    relative = Path(os.path.relpath(place, target.absolute().parent)).as_posix()
    return {
        "MEDIA_URL": f"file:///{one_line(place.as_posix()).lstrip('/')}",
        "MIME_TYPE": MIME.get(recording.suffix.lower(), "audio/*"),
        "RELATIVE_MEDIA_URL": one_line(relative if relative.startswith("../") else f"./{relative}"),
    }


def _labels(layers: list[list[Span]]) -> str:
    lines = []
    for start, end, row in sorted((span for layer in layers for span in layer), key=lambda span: span[:2]):
        text = in_words(row) or f"[{_text(row['status'])}] {_text(row.get('reason'))}".strip()
        lines.append(f"{start / STEPS['audacity']:.6f}\t{end / STEPS['audacity']:.6f}\t{text}\n")
    return "".join(lines)


def _captions(layers: list[list[Span]]) -> str:
    cues = ["WEBVTT\n"]
    for start, end, row in sorted((span for layer in layers for span in layer), key=lambda span: span[:2]):
        if text := in_words(row):
            escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            cues.append(f"\n{_clock(start)} --> {_clock(end)}\n{escaped}\n")
    return "".join(cues)


def _clock(time: int) -> str:
    """Return a time of WebVTT.

    >>> _clock(3_723_004)
    '01:02:03.004'
    """
    seconds, milliseconds = divmod(time, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{milliseconds:03}"
