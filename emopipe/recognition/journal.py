"""What a run has answered so far, on disk: a run that was killed goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from emopipe.io.outputs import reporting_faults
from emopipe.recordings.reading import Recording, fingerprint

Row = dict[str, Any]
Item = TypeVar("Item")


class Answer(NamedTuple):
    """The answer to one of several items, or to a part of it."""

    number: int  # of the item, from 0
    row: Row


def recording_key(recording: Recording) -> str:
    """Return what tells a recording from all others: the content of its file, and the part of it."""
    path, *part = recording
    try:
        content = fingerprint(path) if path.is_file() else ""
    except OSError:
        content = ""
    return json.dumps([content or str(path), *map(str, part)])


def text_key(text: object) -> str:
    """Return what tells a text, or what stands in the place of one, from all others."""
    return hashlib.sha256(repr(text).encode("utf-8", "backslashreplace")).hexdigest()


class Journal:
    """The answers of a run, each written as soon as it is there, and read when all are there."""

    def __init__(self, path: Path, settings: Row, restart: bool = False) -> None:
        """Open the journal of an earlier run, if it had the same model and settings; else begin another.

        Args:
            path: of the file
            settings: the model and all else on which answers depend
            restart: whether to begin another in any case

        Raises:
            UserError: if it cannot be written
        """
        self.path = path
        self._places: dict[str, int] = {}  # of the answers, in bytes
        self._keys: list[str] = []  # of the items that it was filled with
        beginning = json.dumps(settings, sort_keys=True)
        with reporting_faults(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
            self._file.seek(0)
            if restart or self._file.readline().rstrip(b"\n") != beginning.encode():
                self._file.truncate(0)
                self._file.write(beginning.encode() + b"\n")
            else:
                self._find()
            self._file.flush()
        self.found = len(self._places)  # answers of an earlier run

    def _find(self) -> None:
        """Find the answers in the file; what a killed run left half written at its end is removed."""
        place = self._file.tell()
        for line in self._file:
            if not line.endswith(b"\n"):
                self._file.truncate(place)
                break
            self._places[json.loads(line)["key"]] = place
            place += len(line)

    def fill(
        self,
        items: Sequence[Item],
        key: Callable[[Item], str],
        answers: Callable[[Iterable[Item]], Iterator[Answer]],
    ) -> Iterator[int]:
        """Ask for the answers that are not there yet; yield how many items have theirs.

        Args:
            items: in order; what occurs more than once is computed once
            key: of an item, see :func:`recording_key`
            answers: from items to their answers, in order
        """
        requested: list[str] = []

        def missing() -> Iterator[Item]:
            pending: set[str] = set()
            for item in items:
                self._keys.append(key(item))
                if self._keys[-1] not in self._places and self._keys[-1] not in pending:
                    pending.add(self._keys[-1])
                    requested.append(self._keys[-1])
                    yield item

        found = groupby(answers(missing()), key=lambda answer: answer.number)
        for done, (number, parts) in enumerate(found, start=1):
            self._add(requested[number], [part.row for part in parts])
            yield len(self._keys) - len(requested) + done
        yield len(self._keys)

    def _add(self, key: str, rows: list[Row]) -> None:
        with reporting_faults(self.path):
            self._places[key] = self._file.seek(0, os.SEEK_END)
            self._file.write(json.dumps({"key": key, "rows": rows}).encode() + b"\n")
            self._file.flush()

    def __getitem__(self, number: int) -> list[Row]:
        """Return the answer to one of the items that it was filled with.

        Raises:
            IndexError: if there is no item of that number
        """
        self._file.seek(self._places[self._keys[number]])
        return json.loads(self._file.readline())["rows"]

    def remove(self) -> None:
        """Remove the file, which nobody needs once the answers are written."""
        self._file.close()
        self.path.unlink(missing_ok=True)
