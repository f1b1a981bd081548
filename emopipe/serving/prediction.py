"""The answer to a recording that a client has sent: the rows that `emopipe predict` writes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException

from emopipe.recognition import tables
from emopipe.recognition.inputs import Input, each_channel
from emopipe.recognition.speech import Recognizer
from emopipe.recognition.summaries import ANSWERED, outcome
from emopipe.recordings.reading import Recording
from emopipe.serving.limits import Limits
from emopipe.serving.options import Settings
from emopipe.serving.pool import Check
from emopipe.serving.uploads import is_longer


class UnansweredError(Exception):
    """A recording could not be answered, or not to its end; holds the rows that `emopipe predict` would give it."""

    def __init__(self, reason: str, rows: list[dict[str, Any]]) -> None:
        super().__init__(reason)
        self.rows = rows


class Predictor:
    """A trained model that answers recordings, in whatever thread."""

    def __init__(self, recognizer: Recognizer, name: str, limits: Limits) -> None:
        """Take a model.

        Args:
            recognizer: the model
            name: that clients are told
            limits: of recordings
        """
        self.recognizer = recognizer
        self.name = name
        self._limits = limits

    @property
    def labels(self) -> list[str]:
        """Return the emotions that the model knows, or the dimensions that it predicts."""
        return list(self.recognizer.trained.task.names)

    def __call__(self, path: Path, settings: Settings, check: Check) -> bytes:
        """Return the answer as JSON: the model, its labels and the rows.

        Args:
            path: of the recording
            settings: the options of the request
            check: is called between segments; what it raises ends the work

        Raises:
            HTTPException: 413 if the recording is too long
            UnansweredError: where `emopipe predict` says that a recording could not be answered
        """
        if is_longer(path, self._limits.seconds):
            raise HTTPException(413, f"longer than {self._limits.seconds:g} s")
        one = Input(Recording(path), {})
        rows, outcomes = [], []
        for recording, columns in each_channel([one]) if settings.each else [one]:
            first = len(rows)
            with closing(self.recognizer.answers([recording], settings.cutting)) as answers:
                for answer in answers:
                    rows.append(columns | settings.abstain(answer.row))
                    check()
            outcomes.append(outcome(rows[first:]))
        table = written(rows, settings.columns, "json").rstrip("\n")
        for status, reason in outcomes:
            if status not in ANSWERED:
                raise UnansweredError(reason, json.loads(table))
        about = json.dumps({"model": self.name, "labels": self.labels}, ensure_ascii=False)
        return f'{about[:-1]}, "rows": {table}}}\n'.encode()


def written(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, type], kind: str) -> str:
    """Return rows as `emopipe predict` and `emopipe listen` write them, json or jsonl."""
    target = io.StringIO()
    tables.write(rows, columns, kind, target)
    return target.getvalue()
