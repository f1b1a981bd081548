"""How recordings are answered, as options: those of the commands, and those of a request to the service."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emopipe.recognition.abstention import Abstention
    from emopipe.recognition.segmentation import Cutting
    from emopipe.recognition.speech import Recognizer

MODES = {
    "auto": "what the model hears at once as it is, longer recordings by speech",
    "none": "recordings as they are",
    "speech": "at silences",
    "windows": "at equal distances",
}


def add_channels(parser: argparse.ArgumentParser) -> None:
    """Declare which channels are answered."""
    parser.add_argument("--channels", choices=["mix", "each"], default="mix", help="their mean, or each by itself")


def add_thresholds(parser: argparse.ArgumentParser) -> None:
    """Declare when there is no answer."""
    certain = parser.add_argument_group("when there is no answer")
    certain.add_argument("--coverage", type=float, metavar="SHARE", help="of recordings like those of the dev set that "
        "are answered; the least certain are not")  # fmt: skip
    certain.add_argument("--min-confidence", type=float, metavar="SHARE", help="below which there is no answer")
    certain.add_argument("--sets", type=float, metavar="SHARE", help="of recordings whose true emotion is to be among "
        "those of the column set, which cannot be ruled out")  # fmt: skip


def add_cutting(parser: argparse.ArgumentParser, modes: Sequence[str]) -> None:
    """Declare how sound is cut into segments.

    Args:
        parser: of a command
        modes: the default first
    """
    cut = parser.add_argument_group("segments")
    cut.add_argument(
        "--segments", choices=modes, default=modes[0], help="; ".join(f"{mode}: {MODES[mode]}" for mode in modes)
    )
    cut.add_argument("--window", type=float, metavar="SECONDS", help="of windows; by default what the model hears")
    cut.add_argument("--hop", type=float, metavar="SECONDS", help="between their beginnings; by default a window")
    for name, meaning in (
        ("threshold", "probability from which speech begins"),
        ("min-speech", "seconds of speech that an answer takes"),
        ("min-silence", "seconds of silence that end a segment"),
        ("padding", "seconds around speech that belong to it"),
    ):
        cut.add_argument(f"--{name}", type=float, default=argparse.SUPPRESS, metavar="NUMBER", help=meaning)


def cutting_of(arguments: argparse.Namespace) -> Cutting:
    """Return what was said by the arguments of :func:`add_cutting`.

    Raises:
        UserError: if that cannot be
    """
    from emopipe.recognition.segmentation import Cutting

    names = {field.name for field in fields(Cutting)} & set(vars(arguments))
    return Cutting(arguments.segments, **{name: getattr(arguments, name) for name in names})


def abstention_of(arguments: argparse.Namespace, recognizer: Recognizer) -> Abstention:
    """Return what was said by the arguments of :func:`add_thresholds`.

    Raises:
        UserError: if that cannot be, of this model
    """
    from emopipe.recognition.abstention import Abstention

    return Abstention.of(recognizer.trained, arguments.coverage, arguments.min_confidence, arguments.sets)


def columns(recognizer: Recognizer, abstain: Abstention) -> list[str]:
    """Return the columns of an answer, the set of emotions behind the likeliest."""
    return [*recognizer.columns[:1], *abstain.columns, *recognizer.columns[1:]]
