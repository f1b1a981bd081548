"""Predict the emotion, or valence, arousal and dominance, of recordings or texts by a trained model.

    emopipe predict speech.wav calls/                          # a table on the terminal; folders are searched
    emopipe predict calls/ --output answers.csv                # or .json, .jsonl, .parquet; killed, it goes on later
    emopipe predict segments.csv --output answers.csv          # columns file[,start,end]; all of them are kept
    emopipe predict meeting.wav --output meeting.TextGrid      # or .eaf, .txt (Audacity), .vtt; --plot meeting.png
    emopipe predict speech.wav --coverage 0.9 --sets 0.9       # the least certain tenth gets no answer
    emopipe predict speech.wav --model owner/name --revision v1
    emopipe predict --text lines.txt my.csv -                  # texts: a line each, a column of a table, standard input
    emopipe predict --both my.csv                              # columns file and text, by the forest over both branches

A recording that the model hears at once is a row, if there is speech in it; a longer one a row for every segment of
speech and for all that lies between. Start and end in seconds; emotion and its calibrated confidence with the
probability of every emotion, or the dimensions from 1 to 5; spread, by how much the members of an ensemble disagree;
status ok, abstained, no_speech, too_short or unreadable, and the reason. The exit code is 0 if everything was answered,
held no speech, or was not certain enough for the threshold that was set.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from emopipe.commands.main import VERSION
from emopipe.io.errors import UserError
from emopipe.recognition import annotations, tables
from emopipe.recognition.journal import Answer, Journal, recording_key, text_key
from emopipe.recognition.options import abstention_of, add_channels, add_cutting, add_thresholds, columns, cutting_of
from emopipe.recognition.summaries import ANSWERED, outcome, summary
from emopipe.recordings.reading import Recording, fingerprint

if TYPE_CHECKING:
    from emopipe.recognition.inputs import Input

TABLES = {f".{kind}": kind for kind in tables.KINDS if kind != "audformat"}
KINDS = (*tables.KINDS, *annotations.SUFFIXES)
SUFFIXES = TABLES | {suffix.lower(): kind for kind, suffix in annotations.SUFFIXES.items()}
DPI = 150  # of the pictures
Row = dict[str, Any]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a recording, a folder of them, or a table, my.csv")
    inputs = parser.add_mutually_exclusive_group()
    inputs.add_argument("--text", action="store_true", help="the paths are files of texts, or - for standard input")
    inputs.add_argument("--both", action="store_true", help="tables of recordings and what is said in them")
    parser.add_argument("--model", help="a folder, or of audio models a repository of the Hugging Face hub; by default "
        "models/audio, with --text models/text, with --both models")  # fmt: skip
    parser.add_argument("--revision", help="of the repository: a branch, a tag or a commit")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    add_channels(parser)
    written = parser.add_argument_group("what is written")
    written.add_argument("--output", type=Path, metavar="PATH", help="instead of the terminal; textgrid, eaf, audacity "
        "and webvtt make a file for every recording, in a folder where there are several")  # fmt: skip
    written.add_argument("--format", choices=KINDS, help="by default that of the output's name, else csv")
    written.add_argument("--summary", type=Path, metavar="FILE", help="a table with a row for every recording")
    written.add_argument("--plot", type=Path, metavar="PATH", help="a picture of every recording: a .png or a folder")
    written.add_argument("--restart", action="store_true", help="do not go on with a run that was killed")
    add_thresholds(parser)
    add_cutting(parser, ("auto", "none", "speech", "windows"))


def run(arguments: argparse.Namespace) -> None:
    """Answer everything that was named, write the answers, and count what became of it.

    Raises:
        UserError: if the model or a path is not there; at the end, if something could not be answered
    """
    kind = _kind(arguments)
    request = _texts(arguments) if arguments.text else _pairs(arguments) if arguments.both else _recordings(arguments)
    found: Iterable[list[Row]]
    if journal := _journal(arguments, request):
        with tqdm(total=len(request.items), unit=request.unit, disable=None) as shown:
            for done in journal.fill(request.items, request.key, request.answers):
                shown.update(done - shown.n)
        found = journal
    else:
        groups = groupby(request.answers(request.items), key=lambda answer: answer.number)
        found = ([answer.row for answer in group] for _, group in groups)
    statuses: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    rows = _rows(request, found, statuses, outcomes)
    if kind in tables.KINDS:
        tables.write(rows, _columns(request), kind, arguments.output or sys.stdout)
    else:
        deque(rows, maxlen=0)
        _write_documents(request, journal, kind, arguments.output)
    if arguments.summary is not None:
        _write_summaries(request, journal, arguments.summary)
    if arguments.plot is not None:
        _draw(request, journal, arguments.plot)
    if journal:
        journal.remove()
    print(", ".join(f"{number} {status}" for status, number in statuses.most_common()), file=sys.stderr)
    if failed := sum(number for status, number in outcomes.items() if status not in ANSWERED):
        raise UserError(f"{failed} of {len(request.items)} {request.unit}s could not be answered; their rows say why")


def _kind(arguments: argparse.Namespace) -> str:
    """Return the format to write, after a look at all that is to be written.

    Raises:
        UserError: if something cannot be written, or not of texts
    """
    output, summaries = arguments.output, arguments.summary
    kind = arguments.format or (SUFFIXES.get(output.suffix.lower()) if output else "csv")
    if kind is None:
        raise UserError(f"--output: {output}: no format of that name; choose --format {', '.join(KINDS)}")
    if arguments.text or arguments.both:
        alone = ("summary", "plot", "coverage", "min_confidence", "sets", "window", "hop")
        given = [name for name in alone if getattr(arguments, name) is not None]
        if given or arguments.channels == "each" or kind not in TABLES.values():
            named = (
                f"--{given[0]}" if given else "--channels each" if arguments.channels == "each" else f"--format {kind}"
            )
            raise UserError(f"{named.replace('_', '-')}: of recordings alone, without --text and --both")
    if kind in tables.KINDS:
        tables.check(kind, output or sys.stdout)
    else:
        annotations.check(kind)
        if output is None:
            raise UserError(f"--format {kind}: a file for every recording; name a file, or a folder of them: --output")
    if kind == "audformat" and arguments.channels == "each":
        raise UserError(
            "--channels each: in audformat a segment is a row, whatever its channels; choose another format"
        )
    if summaries is not None and summaries.suffix.lower() not in TABLES:
        raise UserError(f"--summary: {summaries}: not a table; its name ends in {', '.join(TABLES)}")
    if arguments.plot is not None and not find_spec("matplotlib"):
        raise UserError("--plot: no package matplotlib; `pip install 'emopipe[plot]'`")
    return kind


@dataclass(frozen=True)
class Request:
    """What is to be predicted, and by which model."""

    unit: str  # what an item is called
    items: Sequence[Any]
    own: Sequence[Row]  # what the rows of each item begin with
    place: dict[str, type]  # the columns that come first
    columns: list[str]  # of an answer
    key: Callable[[Any], str]
    answers: Callable[[Iterable[Any]], Iterator[Answer]]
    models: Sequence[Path]  # folders and files
    settings: Row  # on which the answers depend beside these
    abstain: Callable[[Row], Row] = dict


def _recordings(arguments: argparse.Namespace) -> Request:
    cutting = cutting_of(arguments)
    from emopipe.recognition.inputs import each_channel, inputs

    each = arguments.channels == "each"
    named = list(each_channel(inputs(arguments.paths)) if each else inputs(arguments.paths))
    from emopipe.recognition.speech import Recognizer  # PyTorch, once the arguments are in order

    recognizer = Recognizer.load(arguments.model or "models/audio", arguments.revision, arguments.device)
    abstain = abstention_of(arguments, recognizer)
    return Request(
        "recording",
        [one.recording for one in named],
        [_beginning(one, arguments.format == "audformat") for one in named],
        {"file": str, "start": float, "end": float} | ({"channel": int} if each else {}),
        columns(recognizer, abstain),
        recording_key,
        partial(recognizer.answers, cutting=cutting),
        [recognizer.folder],
        {"device": recognizer.encoder.device.type, "cutting": asdict(cutting)},
        abstain,
    )


def _beginning(one: Input, resolved: bool) -> Row:
    """Return what the rows of a recording begin with; its path as a table has it, or ``resolved`` from here."""
    file = {"file": str(one.recording.path)}
    return file | one.columns | (file if resolved else {})


def _texts(arguments: argparse.Namespace) -> Request:
    from emopipe.recognition.texts import texts

    lines = list(texts(arguments.paths))
    from emopipe.recognition.text import TextRecognizer

    model = Path(arguments.model or "models/text").expanduser()
    recognizer = TextRecognizer.load(model, device=arguments.device)
    return Request(
        "text",
        [line.text for line in lines],
        [line.columns for line in lines],
        {"file": str, "line": int, "text": str} if any("line" in line.columns for line in lines) else {},
        recognizer.columns,
        text_key,
        lambda items: _numbered(recognizer.answers(items)),
        [model, model.parent / "forest.skops"],
        {"device": recognizer.device.type},
    )


def _pairs(arguments: argparse.Namespace) -> Request:
    from emopipe.recognition.inputs import inputs, transcript

    named = list(inputs(arguments.paths))
    pairs = [(one.recording, transcript(one)) for one in named]
    from emopipe.recognition.both import BothRecognizer

    folder = Path(arguments.model or "models").expanduser()
    models = folder / "audio", folder / "text", folder / "forest.skops"
    recognizer = BothRecognizer.load(*models, device=arguments.device)
    return Request(
        "recording",
        pairs,
        [{"file": str(one.recording.path)} | one.columns for one in named],
        {"file": str},
        recognizer.columns,
        lambda pair: recording_key(pair[0]) + text_key(pair[1]),
        lambda items: _numbered(recognizer.answers(items)),
        models,
        {"device": recognizer.text.device.type},
    )


def _numbered(rows: Iterable[Row]) -> Iterator[Answer]:
    return (Answer(number, row) for number, row in enumerate(rows))


def _identity(paths: Sequence[Path]) -> str:
    """Return what tells models from all others; those that are folders by their files."""
    files = (file for path in paths for file in (sorted(path.glob("*.*")) if path.is_dir() else [path]))
    return " ".join(fingerprint(file) for file in files if file.is_file())


def _journal(arguments: argparse.Namespace, request: Request) -> Journal | None:
    """Return where answers are kept until all are there; None where they go to the terminal as they come."""
    first = arguments.output or arguments.summary or arguments.plot
    if first is None:
        return None
    path = first.with_name(f"{first.name}.part.jsonl")
    settings = {"version": VERSION, "model": _identity(request.models)} | request.settings
    journal = Journal(path, settings, arguments.restart)
    if journal.found:
        print(f"{path}: going on with a run that was stopped after {journal.found} {request.unit}s", file=sys.stderr)
    return journal


def _columns(request: Request) -> dict[str, type]:
    """Return the columns of all rows: the place of a segment, what tables hold beside that, and the answer."""
    own = {name: str for row in request.own for name in row}
    answers = tables.typed([*request.columns, "status", "reason"])
    return request.place | (own | request.place) | {_free(name, own): kind for name, kind in answers.items()}


def _free(name: str, taken: Container[str]) -> str:
    """Return the name of a column that a table has not used for something of its own."""
    return f"predicted_{name}" if name in taken else name


def _rows(
    request: Request, found: Iterable[list[Row]], statuses: Counter[str], outcomes: Counter[str]
) -> Iterator[Row]:
    """Yield the rows of all items, and count what became of the segments and of the items."""
    own = {name for row in request.own for name in row}
    names = {name: _free(name, own) for name in (*request.columns, "status", "reason")}
    for begins, parts in zip(request.own, found, strict=True):
        rows = [request.abstain(part) for part in parts]
        outcomes[outcome(rows)[0]] += 1
        for row in rows:
            statuses[row["status"]] += 1
            place = {name: row[name] for name in ("start", "end") if name in row}
            yield begins | place | {free: row[name] for name, free in names.items()}


def _by_recording(request: Request) -> dict[tuple[Path, int | None], list[int]]:
    """Return the numbers of the items of every recording, or channel of one: a table may name several segments."""
    numbers: dict[tuple[Path, int | None], list[int]] = {}
    for number, recording in enumerate(request.items):
        numbers.setdefault((recording.path, recording.channel), []).append(number)
    return numbers


def _segments(request: Request, journal: Journal, numbers: Iterable[int]) -> list[Row]:
    return [request.abstain(row) for number in numbers for row in journal[number]]


def _targets(
    request: Request, journal: Journal, suffix: str, output: Path
) -> Iterator[tuple[Path, Recording, list[Row]]]:
    """Yield a file for every recording: beside each other as the recordings are, or the one that was named."""
    recordings = _by_recording(request)
    named = len(recordings) == 1 and output.suffix.lower() == suffix.lower()
    folder = os.path.commonpath([path.absolute().parent for path, _ in recordings])
    taken: set[Path] = set()
    for (path, channel), numbers in recordings.items():
        place = output / path.absolute().relative_to(folder)
        target = place.with_name((path.stem if channel is None else f"{path.stem}_{channel}") + suffix)
        if target in taken:  # a.wav beside a.mp3
            target = place.with_name(path.name + suffix)
        taken.add(target)
        yield output if named else target, Recording(path, channel=channel), _segments(request, journal, numbers)


def _write_documents(request: Request, journal: Journal, kind: str, output: Path) -> None:
    for target, recording, rows in _targets(request, journal, annotations.SUFFIXES[kind], output):
        annotations.write(rows, recording.path, max(row["end"] for row in rows), kind, target)


def _draw(request: Request, journal: Journal, output: Path) -> None:
    from emopipe.figures import timeline
    from emopipe.recognition.clips import envelope

    for target, recording, rows in _targets(request, journal, ".png", output):
        shape, seconds = envelope(recording, timeline.BINS)
        if len(shape):
            timeline.draw(rows, shape, seconds, target, DPI)


def _write_summaries(request: Request, journal: Journal, target: Path) -> None:
    """Write a row for every recording."""
    channel = {"channel": int} if "channel" in request.place else {}
    columns = {"file": str} | channel | {"seconds": float, "answered": float, "segments": int}
    rows = (
        {"file": str(path), "channel": channel}
        | request.abstain(summary(_segments(request, journal, numbers), request.columns))
        for (path, channel), numbers in _by_recording(request).items()
    )
    types = columns | tables.typed([*request.columns, "status", "reason"])
    tables.write(rows, types, TABLES[target.suffix.lower()], target)
