"""The options of a request: those of `emopipe predict` and `emopipe listen`, under the same names without dashes."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from typing import Any, NamedTuple, NoReturn

from emopipe.io.errors import UserError
from emopipe.recognition.abstention import Abstention
from emopipe.recognition.options import (
    abstention_of,
    add_channels,
    add_cutting,
    add_thresholds,
    columns,
    cutting_of,
)
from emopipe.recognition.segmentation import Cutting
from emopipe.recognition.speech import Recognizer
from emopipe.recognition.tables import typed
from emopipe.recordings.reading import RATES
from emopipe.schemas.manifest import SAMPLE_RATE
from emopipe.serving.limits import HOP


class Settings(NamedTuple):
    """What a request wants."""

    cutting: Cutting
    abstain: Abstention
    each: bool  # channel by itself
    rate: int  # of a stream, in Hz
    columns: dict[str, type]  # of the rows of the answer


class _Query(argparse.ArgumentParser):
    """The options of a command, whose faults are the client's and end nothing."""

    def error(self, message: str) -> NoReturn:
        raise UserError(message)


class Options:
    """Reads the options of requests to one of the two ways in."""

    def __init__(self, recognizer: Recognizer, stream: bool) -> None:
        """Declare the options.

        Args:
            recognizer: whose answers they are about
            stream: whether sound comes as it is spoken, in place of a recording
        """
        self._recognizer = recognizer
        self._parser = _Query(add_help=False, allow_abbrev=False)
        if stream:
            self._parser.add_argument("--rate", type=int, default=SAMPLE_RATE, help="of the samples, in Hz")
        else:
            add_channels(self._parser)
        add_cutting(self._parser, ("speech", "windows") if stream else ("auto", "none", "speech", "windows"))
        add_thresholds(self._parser)
        self._actions = {action.option_strings[0][2:]: action for action in self._parser._actions}

    def __call__(self, named: Iterable[tuple[str, str]]) -> Settings:
        """Return what a request wants.

        Args:
            named: names and values, as texts

        Raises:
            UserError: if there is no such option, one is named twice, or its value cannot be
        """
        found: dict[str, str] = {}
        for name, value in named:
            if name not in self._actions:
                raise UserError(f"{name}: no such option; there are {', '.join(self._actions)}")
            if name in found:
                raise UserError(f"--{name}: named twice")
            found[name] = value
        arguments = self._parser.parse_args([f"--{name}={value}" for name, value in found.items()])
        for name in found:
            value = getattr(arguments, self._actions[name].dest)
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"--{name}: {value:g} is no finite number")
        cutting = cutting_of(arguments)
        step = cutting.window if cutting.hop is None else cutting.hop
        if step is not None and step < HOP:
            raise UserError(f"--window and --hop: a window every {step:g} s; it takes one every {HOP:g} s at most")
        if cutting.mode != "none":
            cutting.cutter(self._recognizer.encoder.max_samples)  # refuses here, before any sound is there
        rate = getattr(arguments, "rate", SAMPLE_RATE)
        if not RATES[0] <= rate <= RATES[1]:
            raise UserError(f"--rate: {rate} Hz, outside {RATES[0]} to {RATES[1]}")
        each = getattr(arguments, "channels", "mix") == "each"
        abstain = abstention_of(arguments, self._recognizer)
        place = {"start": float, "end": float} | ({"channel": int} if each else {})
        names = [*columns(self._recognizer, abstain), "status", "reason"]
        return Settings(cutting, abstain, each, rate, place | typed(names))

    def described(self) -> list[dict[str, Any]]:
        """Return the options as parameters of OpenAPI."""
        return [
            {"name": name, "in": "query", "description": action.help, "schema": _schema(action)}
            for name, action in self._actions.items()
        ]


def _schema(action: argparse.Action) -> dict[str, Any]:
    kinds = {float: "number", int: "integer", None: "string"}
    schema: dict[str, Any] = {"type": kinds[action.type]}
    if action.choices is not None:
        schema["enum"] = list(action.choices)
    default = vars(Cutting()).get(action.dest) if action.default is argparse.SUPPRESS else action.default
    return schema if default is None else schema | {"default": default}
