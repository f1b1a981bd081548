"""The model card of the audio model: what it is, what it scores and how to use it, as the Hugging Face hub reads it."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from emopipe.report.page import score, without_folders

TEMPLATE = "card.md.j2"
ACTIVE = re.compile(r"[\\`*_\[\]|#~$!:]")  # what Markdown, or the hub's of it, acts on
LANGUAGE = re.compile(r"[a-z]{2,3}")  # ISO 639; the hub takes no other
TASK = "audio-classification"  # what the hub calls it, of dimensions as well
METRICS: dict[str, dict[str, Any]] = {  # the hub's names of the headline scores
    "UAR": {"type": "recall", "args": {"average": "macro"}},
    "WA": {"type": "accuracy"},
    "CCC": {"type": "concordance_correlation_coefficient"},
}


def render(content: dict[str, Any], repository: str, base_model: str | None) -> str:
    """Return the card.

    Args:
        content: what the report is made of, see ``page.html.j2``; there is an audio model
        repository: owner/name on the hub
        base_model: hub id of the backbone; None where the hub does not have it
    """
    environment = Environment(
        autoescape=True, finalize=_inert, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["score"] = score
    template = environment.from_string((Path(__file__).parent / TEMPLATE).read_text(encoding="utf-8"))
    shown = without_folders(content)
    rows = [row for row in shown["headline"] if row["target"].split()[0] == "audio"]
    body = template.render(
        audio=shown["data"]["audio"],
        details=shown["details"]["audio"],
        model=shown["models"]["audio"],
        rows=rows,
        repository=repository,
        base_model=base_model,
    )
    metadata = yaml.safe_dump(
        _metadata(shown["data"]["audio"]["sets"], rows, repository, base_model), sort_keys=False, allow_unicode=True
    )
    return f"---\n{metadata}---\n\n{body}\n"


def _metadata(
    sets: dict[str, dict[str, Any]], rows: list[dict[str, Any]], repository: str, base_model: str | None
) -> dict[str, Any]:
    """Return what the hub indexes; no licence, for emopipe cannot know it."""
    languages = [code for code in sets["train"]["languages"] if LANGUAGE.fullmatch(code)]
    corpora = ", ".join(sets["test"]["corpora"])
    result = {
        "task": {"type": TASK, "name": "Speech emotion recognition"},
        "dataset": {"type": corpora, "name": corpora, "split": "test"},
        "metrics": [
            {**METRICS[row["score"]], "name": f"{row['score']}, {row['target']}", "value": row["value"]}
            for row in rows
            if row["model"] == "fine-tuned"
        ],
    }
    return {
        **({"language": languages} if languages else {}),
        "library_name": "emopipe",
        "pipeline_tag": TASK,
        "tags": ["speech", "emotion-recognition", "speech-emotion-recognition"],
        **({"base_model": base_model} if base_model else {}),
        "model-index": [{"name": repository.split("/")[1], "results": [result]}],
    }


def _inert(value: Any) -> Any:
    r"""Return a text as Markdown that shows it and does nothing.

    >>> print(_inert("a_b | <i>\n# c"))
    a\_b \| &lt;i&gt; \# c
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return Markup(html.escape(ACTIVE.sub(r"\\\g<0>", " ".join(value.split())), quote=False))  # noqa: S704 - just escaped
