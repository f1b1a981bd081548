"""Numbers and names as the report and the model card show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LEAST_P = 0.001  # a smaller p is not told apart
SCORES = {"accuracy": "WA", "macro_f1": "macro F1", "weighted_f1": "weighted F1"}  # others are spelled in capitals


def score(value: float | None, sign: str = "") -> str:
    """Return a number with three digits after the point, a dash where there is none.

    >>> score(0.12345), score(-0.5), score(0.5, "+"), score(None)
    ('0.123', '−0.500', '+0.500', '–')
    """
    return "–" if value is None or value != value else f"{value:{sign}.3f}".replace("-", "−")


def interval(found: Mapping[str, Any], sign: str = "") -> str:
    """Return ``low`` and ``high`` of an interval, a dash where it is not defined.

    >>> interval({"low": 0.5, "high": 0.75}), interval({"low": None, "high": None})
    ('[0.500, 0.750]', '–')
    """
    low = found["low"]
    return "–" if low is None or low != low else f"[{score(low, sign)}, {score(found['high'], sign)}]"


def p_value(value: float | None) -> str:
    """Return a probability, none below 0.001.

    >>> p_value(0.0421), p_value(1e-9), p_value(None)
    ('0.042', '< 0.001', '–')
    """
    return f"< {LEAST_P}" if value is not None and value < LEAST_P else score(value)


def score_name(name: str) -> str:
    """Return a score's name as the field spells it.

    >>> score_name("uar"), score_name("accuracy"), score_name("ccc.valence"), score_name("recall.fear")
    ('UAR', 'WA', 'CCC valence', 'recall fear')
    """
    metric, _, rest = name.partition(".")
    metric = metric if metric == "recall" else SCORES.get(metric, metric.upper())
    return f"{metric} {rest}".rstrip()


def counted(number: int, noun: str) -> str:
    """Return a number of things.

    >>> counted(1, "speaker"), counted(1200, "utterance")
    ('1 speaker', '1,200 utterances')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def without_folders(value: Any) -> Any:
    """Return a value in which the path of a file or folder is its name: where it lies is nobody else's business.

    >>> without_folders({"corpora": ["emodb:/data/emodb", "synthetic", "mine.csv"], "backbone": "/weights/base"})
    {'corpora': ['emodb:…/emodb', 'synthetic', 'mine.csv'], 'backbone': '…/base'}
    """
    if isinstance(value, dict):
        return {key: without_folders(part) for key, part in value.items()}
    if isinstance(value, list):
        return [without_folders(part) for part in value]
    if not isinstance(value, str):
        return value
    key, colon, folder = ("", "", value) if value.startswith("/") else value.partition(":")
    return f"{key}{colon}…/{Path(folder).name}" if folder.startswith("/") else value
