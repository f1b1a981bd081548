"""Predict the emotion, or valence, arousal and dominance, of recordings by a trained audio model.

    emopipe predict speech.wav calls/                          # a table on the terminal; folders are searched
    emopipe predict calls/ --output answers.csv                # or .jsonl; with a progress bar
    emopipe predict segments.csv --output answers.csv          # columns file[,start,end]; all of them are kept
    emopipe predict speech.wav --model owner/name --revision v1

A row each: seconds, how much of it was heard (what the model hears at once; name segments of longer recordings in a
table), emotion and its calibrated confidence with the probability of every emotion, or the dimensions from 1 to 5;
spread, by how much the members of an ensemble disagree; status ok, too_short, no_speech or unreadable, and the reason.
The exit code is 0 if every recording was answered or held no sound.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write
from emopipe.schemas.tables import escape_formula

ANSWERED = ("ok", "no_speech")
Row = dict[str, Any]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a recording, a folder of them, or a table, my.csv")
    parser.add_argument("--model", default="models/audio", help="a folder or a repository of the Hugging Face hub")
    parser.add_argument("--revision", help="of the repository: a branch, a tag or a commit")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--output", type=Path, metavar="FILE", help="instead of the terminal")
    parser.add_argument("--format", choices=list(WRITERS), help="by default that of the file's name, else csv")


def run(arguments: argparse.Namespace) -> None:
    """Answer every recording, and count what became of them.

    Raises:
        UserError: if the model or a path is not there; at the end, if a recording could not be answered
    """
    output: Path | None = arguments.output
    form = arguments.format or (output.suffix[1:].lower() if output else "csv")
    if form not in WRITERS:
        raise UserError(f"--output: {output}: no format of that name; choose --format {' or '.join(WRITERS)}")
    from emopipe.recognition.inputs import inputs
    from emopipe.recognition.speech import Recognizer  # PyTorch, once the arguments are in order

    asked = list(inputs(arguments.paths))
    recognizer = Recognizer.load(arguments.model, arguments.revision, arguments.device)
    answers = recognizer.answers(one.recording for one in asked)
    shown = tqdm(zip(asked, answers, strict=True), total=len(asked), unit="file", disable=None if output else True)
    columns = ["seconds", "heard", *recognizer.columns, "status", "reason"]
    counts: Counter[str] = Counter()
    with _opened(output) as file:
        write = WRITERS[form](file)
        for one, answer in shown:
            counts[answer["status"]] += 1
            write(one.columns | {_free(name, one.columns): answer.get(name) for name in columns})
    print(", ".join(f"{number} {status}" for status, number in counts.most_common()), file=sys.stderr)
    if failed := sum(number for status, number in counts.items() if status not in ANSWERED):
        raise UserError(f"{failed} of {len(asked)} recordings could not be answered; their rows say why")


def _free(name: str, taken: Row) -> str:
    """Return the name of a column that a table has not used for something of its own."""
    return f"predicted_{name}" if name in taken else name


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    with atomic_write(output) as part, part.open("w", encoding="utf-8", newline="") as file:
        yield file


def _csv(file: TextIO) -> Callable[[Row], None]:
    """Write CSV with a header; what a spreadsheet would take for a formula is escaped."""
    header: list[str] = []
    rows = csv.writer(file, lineterminator="\n")

    def write(row: Row) -> None:
        if list(row) != header:
            if header:
                raise UserError("tables of other columns, and files beside a table, need a run of their own")
            header.extend(row)
            rows.writerow(header)
        rows.writerow(["" if cell is None else escape_formula(cell) for cell in row.values()])

    return write


def _json_lines(file: TextIO) -> Callable[[Row], None]:
    def write(row: Row) -> None:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")

    return write


WRITERS: dict[str, Callable[[TextIO], Callable[[Row], None]]] = {"csv": _csv, "jsonl": _json_lines}
