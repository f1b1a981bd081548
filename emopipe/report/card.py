"""The model card of the audio model: what it is, what it scores and how to use it, as the Hugging Face hub reads it."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import pandas as pd
from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from emopipe.report import data, sentences
from emopipe.report.formatting import score, without_folders
from emopipe.results.reading import Results
from emopipe.results.scores import LABELS, headline

TEMPLATE = "card.md.j2"
ACTIVE = re.compile(r"[\\`*_\[\]|#~$!:]")  # what Markdown, or the hub's of it, acts on
LANGUAGE = re.compile(r"[a-z]{2,3}")  # ISO 639; the hub takes no other
TASK = "audio-classification"  # what the hub calls it, of dimensions as well
METRICS: dict[str, dict[str, Any]] = {  # the hub's names of the headline scores
    "UAR": {"metric_type": "recall", "metric_args": {"average": "macro"}},
    "WA": {"metric_type": "accuracy"},
    "CCC": {"metric_type": "concordance_correlation_coefficient"},
}


def render(results: Results, repository: str, base_model: str | None) -> str:
    """Return the card.

    Args:
        results: with an audio model
        repository: owner/name on the hub
        base_model: hub id of the backbone; None where the hub does not have it
    """
    environment = Environment(
        autoescape=True, finalize=inert, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"score": score, "limits": _limits}
    config = without_folders(results.models["audio"])
    facts = without_folders(data.describe(results.splits["audio"], results.leaks["audio"]))
    rows = headline({"audio": results.statistics["audio"]})
    (part,) = results.statistics["audio"].values()  # one model has one target
    body = environment.from_string((Path(__file__).parent / TEMPLATE).read_text(encoding="utf-8")).render(
        question=sentences.question(config),
        trained=f"{sentences.audio_model(config)}, {sentences.data(facts, config['train']['refit'])}.",
        synthetic=sentences.SYNTHETIC if facts["synthetic"] else "",
        sets=facts["sets"],
        overlap=sentences.overlap(facts),
        results=sentences.evaluation(part, "labels" in config),
        rows=rows.to_dict("records"),
        recalls={n.removeprefix("recall."): x for n, x in part["intervals"]["trained"].items() if "recall." in n},
        limits=sentences.limits(config),
        classified="labels" in config,
        seconds=f"{config['provenance']['max_seconds']:g}",
        weights=sentences.backbone(config["provenance"]["backbone"], base_model),
        versions=config["provenance"]["versions"],
        licences=sentences.licences(config["provenance"]["backbone"], facts),
        repository=repository,
    )
    return f"---\n{_metadata(facts['sets'], rows, repository, base_model).to_yaml()}\n---\n\n{body}\n"


def _metadata(sets: dict[str, Any], rows: pd.DataFrame, repository: str, base_model: str | None) -> ModelCardData:
    """Return what the hub indexes; no licence, for emopipe cannot know it."""
    corpora = ", ".join(sets["test"]["corpora"])
    results = [
        EvalResult(
            task_type=TASK,
            task_name="Speech emotion recognition",
            dataset_type=corpora,
            dataset_name=corpora,
            dataset_split="test",
            metric_value=float(row.value),
            metric_name=f"{row.score}, {row.target}",
            **METRICS[row.score],
        )
        for row in rows[rows["model"] == LABELS["trained"]].itertuples()
    ]
    return ModelCardData(
        language=[code for code in sets["train"]["languages"] if LANGUAGE.fullmatch(code)] or None,
        library_name="emopipe",
        pipeline_tag=TASK,
        tags=["speech", "emotion-recognition", "speech-emotion-recognition"],
        base_model=base_model,
        model_name=repository.split("/")[1],
        eval_results=results,
    )


def _limits(found: dict[str, Any]) -> str:
    """Return an interval without brackets, which Markdown takes for a link."""
    low = found["low"]
    return "–" if low is None or low != low else f"{score(low)} to {score(found['high'])}"


def inert(value: Any) -> Any:
    r"""Return a text as Markdown that shows it and does nothing.

    >>> print(inert("a_b | <i>\n# c"))
    a\_b \| &lt;i&gt; \# c
    """
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return Markup(html.escape(ACTIVE.sub(r"\\\g<0>", " ".join(value.split())), quote=False))  # noqa: S704 - just escaped
