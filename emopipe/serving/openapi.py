"""The document that describes the service to programs (OpenAPI 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from emopipe.commands.main import VERSION
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.serving.limits import MESSAGE, QUIET, Limits
from emopipe.serving.options import Options
from emopipe.serving.prediction import Predictor
from emopipe.serving.streaming import END
from emopipe.serving.uploads import FILE, FORM, KINDS

Schema = dict[str, Any]

STATUSES = ("ok", "abstained", "no_speech", "too_short", "unreadable")
REFUSALS = {
    400: "an option that is none, or a value or a form that cannot be",
    401: "no token, or another one",
    408: "the body came too slowly",
    413: "too large, too long, or no answer in time",
    415: "a body that is said to be no sound",
    422: "no recording, or one that cannot be answered: the reason, and the rows of what could be",
    429: "too many at a time; Retry-After tells when to try again",
    503: "the service shuts down",
}
MEANINGS = {
    "start": "of the segment, in seconds",
    "end": "of the segment, in seconds; null where the recording could not be read to its end",
    "channel": "from 0, where each is answered by itself",
    "emotion": "the likeliest, or null where there is no answer",
    "set": "the emotions that cannot be ruled out, the likeliest first, joined by |; only with the option sets",
    "confidence": "the calibrated probability of that emotion",
    "spread": "standard deviation over the members of the ensemble",
    "reason": "why there is no answer, or what is to be known of it",
}


def document(options: Mapping[str, Options], predictor: Predictor, limits: Limits, secured: bool) -> Schema:
    """Return the document.

    Args:
        options: of recordings and of streams, by the path of each
        predictor: whose answers are described
        limits: that are told
        secured: whether a token is needed
    """
    (predict, of_recordings), (stream, of_streams) = options.items()
    recording = {"type": "string", "format": "binary"}
    form = {"type": "object", "properties": {FILE: recording}, "required": [FILE]}
    form["properties"] |= {each["name"]: each["schema"] for each in of_recordings.described()}
    refused = {f"{status}": _json("Problem", why, "application/problem+json") for status, why in REFUSALS.items()}
    limit = f"at most {limits.bytes:,} bytes and {limits.seconds:g} s"
    posted = {
        "operationId": "predict",
        "summary": f"Answer a recording, {limit}",
        "parameters": of_recordings.described(),
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": recording} for kind in KINDS} | {FORM: {"schema": form}},
        },
        "responses": {"200": _json("Answer", "the rows of `emopipe predict`, but for file")} | refused,
    }
    opened = {
        "operationId": "stream",
        "summary": "Open a WebSocket that answers sound as it is spoken",
        "description": f"Binary messages are samples: 16 bit, little-endian, one channel, at most {MESSAGE:,} bytes. "
        f"The text {END} ends the sound, as {QUIET:g} s without a message do. Texts that come back are rows in JSON, "
        "each as soon as its segment has ended; the last is followed by the close.",
        "parameters": of_streams.described(),
        "responses": {"101": {"description": "the stream is open; messages are rows"}}
        | {status: refused[status] for status in ("400", "401", "429", "503")},
    }
    secure = {"security": [{"token": []}]} if secured else {}
    schemas = {"Answer": _answer(predictor), "Row": _row(predictor), "Problem": _problem(), "Health": _health()}
    found: Schema = {
        "openapi": "3.1.0",
        "info": {"title": f"emopipe serve: {predictor.name}", "version": VERSION},
        "paths": {
            predict: {"post": posted | secure},
            stream: {"get": opened | secure},
            "/health": {
                "get": {
                    "operationId": "health",
                    "summary": "Which model answers, and how many recordings and streams there are",
                    "responses": {
                        "200": _json("Health", "it takes recordings"),
                        "503": _json("Health", REFUSALS[503]),
                    },
                }
            },
        },
        "components": {"schemas": schemas},
    }
    if secured:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return found


def _json(schema: str, description: str, kind: str = "application/json") -> Schema:
    return {
        "description": description,
        "content": {kind: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _object(properties: Schema, *optional: str) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "properties": properties, "required": required}


def _row(predictor: Predictor) -> Schema:
    """Return the schema of a row, whatever the options."""
    properties: Schema = {
        "start": {"type": "number"},
        "end": {"type": ["number", "null"]},
        "channel": {"type": ["integer", "null"]},
        "set": {"type": ["string", "null"]},
    }
    for name in predictor.recognizer.columns:
        properties[name] = {"type": ["number", "null"]}
        if name == "emotion":
            properties[name] = {"type": ["string", "null"], "enum": [*predictor.labels, None]}
        elif name in DIMENSIONS:
            properties[name]["description"] = "on the scale of 1 to 5, which it may leave a little"
        elif name.startswith("p_"):
            properties[name]["description"] = f"the calibrated probability of {name[2:]}"
    properties |= {"status": {"type": "string", "enum": list(STATUSES)}, "reason": {"type": "string"}}
    for name in MEANINGS.keys() & properties.keys():
        properties[name]["description"] = MEANINGS[name]
    return _object(properties, "channel", "set")


def _answer(predictor: Predictor) -> Schema:
    rows = {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}
    labels = {"type": "array", "items": {"type": "string"}, "const": predictor.labels}
    return _object({"model": {"type": "string"}, "labels": labels, "rows": rows})


def _problem() -> Schema:
    rows = {"type": "array", "items": {"$ref": "#/components/schemas/Row"}}
    words = {"title": {"type": "string"}, "detail": {"type": "string"}}
    return _object({"status": {"type": "integer"}, **words, "rows": rows}, "rows")


def _health() -> Schema:
    counts = {name: {"type": "integer"} for name in ("running", "queue", "streams")}
    labels = {"type": "array", "items": {"type": "string"}}
    return _object({"ready": {"type": "boolean"}, "model": {"type": "string"}, "labels": labels, **counts})
