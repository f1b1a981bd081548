"""One answer for a whole recording, of those to its segments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Row = dict[str, Any]

ANSWERED = ("ok", "abstained", "no_speech")  # what the exit code 0 stands for
ORDER = ("unreadable", "ok", "abstained", "no_speech", "too_short")  # the first that occurs is that of the recording


def outcome(rows: Sequence[Row]) -> tuple[str, str]:
    """Return the status of a recording and the reason.

    Speech that is too short for an answer is no failure where there is something else, and damage is one although
    there are answers to what comes before.

    Args:
        rows: of its segments, one or more

    >>> outcome([{"status": "ok", "reason": ""}, {"status": "unreadable", "reason": "damaged"}])
    ('unreadable', 'damaged')
    """
    found = min(rows, key=lambda row: ORDER.index(row["status"]))
    return found["status"], found["reason"]


def summary(rows: Sequence[Row], columns: Sequence[str]) -> Row:
    """Return the answer for a recording: the mean of those to its segments, each weighed by its length.

    Args:
        rows: of its segments, one or more
        columns: of an answer to a segment, see :attr:`emopipe.recognition.speech.Recognizer.columns`

    Returns:
        ``seconds`` from the beginning of the first segment to the end of the last; ``answered``: how many of these lie
        in segments with an answer; ``segments``: their number; the columns of an answer; status and reason
    """
    answered = [row for row in rows if row["spread"] is not None]
    lengths = np.array([row["end"] - row["start"] for row in answered])
    found: Row = {
        "seconds": max((row["end"] for row in rows), default=0.0) - rows[0]["start"],
        "answered": float(lengths.sum()),
        "segments": len(answered),
    }
    found |= dict.fromkeys(columns)
    if answered:
        names = [name for name in columns if name not in ("emotion", "confidence", "set")]
        values = np.array([[row[name] for name in names] for row in answered])
        found |= zip(names, (lengths @ values / lengths.sum()).tolist(), strict=True)
        if "emotion" in columns:
            best = max((name for name in names if name.startswith("p_")), key=found.__getitem__)
            found |= {"emotion": best.removeprefix("p_"), "confidence": found[best]}
    status, reason = outcome(rows)
    if status == "abstained":  # of all segments; whether the mean is certain enough is another question
        status, reason = "ok", ""
    return found | {"status": status, "reason": reason}
