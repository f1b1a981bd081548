"""Score the three models and their baselines on the test sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stages.audio import evaluation as audio
from stages.audio import saving as audio_model
from stages.audio.store import Store
from stages.contracts import predictions
from stages.contracts.errors import run
from stages.contracts.parameters import load
from stages.contracts.splits import read_audio, read_text
from stages.text import evaluation as text
from stages.text import forest
from stages.text import saving as text_model
from stages.training.device import prepare


def main() -> None:
    """Write metrics/evaluation.json and data/predictions."""
    evaluate, runtime = load("evaluate", "runtime")
    device = prepare(runtime, seed=0)  # nothing here is drawn at random
    heard = audio.evaluate(audio_model.load(), read_audio(), Store(), evaluate.temperature, device)
    read = text.evaluate(text_model.load(), forest.load(), read_text(), evaluate, device)
    predictions.write(heard.table, predictions.AUDIO)
    predictions.write(heard.embedding, predictions.EMBEDDING)
    predictions.write(read.table, predictions.TEXT)
    _write(predictions.DETAILS, {"audio": heard.details, "text": read.details})
    _write(Path("metrics/evaluation.json"), {"audio": heard.scores, "text": read.scores})
    print(f"evaluate: {len(heard.table)} utterances heard, {len(read.table)} read")


def _write(path: Path, scores: dict[str, Any]) -> None:
    path.write_text(json.dumps(scores, indent=2, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
