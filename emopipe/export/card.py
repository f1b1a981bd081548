"""The card of a model that was exported for transformers: how to use it, what it was trained on, and its limits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCardData
from jinja2 import Environment, StrictUndefined

from emopipe.export.verification import Verified
from emopipe.report.card import TASK, inert
from emopipe.report.formatting import score, without_folders

TEMPLATE = "card.md.j2"


def render(
    told: Mapping[str, str], corpora: Sequence[str], verified: Verified, base_model: str | None, stock: bool
) -> str:
    """Return the card, its metadata in front.

    Args:
        told: what is to be known of the model, :func:`emopipe.export.metadata.of_speech`
        corpora: that it was trained on; empty where they are not known
        verified: how the export and the model compare
        base_model: hub id of the backbone; None where the hub does not have it
        stock: whether a class of transformers holds the model
    """
    agreement = verified.agreement
    data = ModelCardData(
        base_model=base_model,
        library_name="transformers",
        pipeline_tag=TASK,
        tags=["speech-emotion-recognition", "emopipe"],
    )
    environment = Environment(
        autoescape=True, finalize=inert, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    values: dict[str, Any] = {
        "description": told["description"],
        "producer": told["producer"],
        "stock": stock,
        "rated": "targets" in told,
        "seconds": told["max_seconds"],
        "corpora": ", ".join(without_folders(list(corpora))) or "Which corpora, is not known here.",
        "scores": agreement.before is not None,
        "compared_on": verified.facts["compared_on"],
        "recordings": verified.facts["recordings"],
        "name": agreement.score.upper(),
        "before": score(agreement.before),
        "after": score(agreement.after),
        "limits": json.loads(told["limits"]),
        "licence": told["licence"],
        "attribution": told["attribution"],
    }
    body = environment.from_string(Path(__file__).with_name(TEMPLATE).read_text(encoding="utf-8")).render(values)
    return f"---\n{data.to_yaml()}\n---\n\n{body}\n"
