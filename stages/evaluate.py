"""Score the three models and their baselines on the test sets."""

from __future__ import annotations

import json
from pathlib import Path

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
    heard, audio_table = audio.evaluate(audio_model.load(), read_audio(), Store(), device)
    read, text_table = text.evaluate(text_model.load(), forest.load(), read_text(), evaluate.anchors, device)
    predictions.write(audio_table, predictions.AUDIO)
    predictions.write(text_table, predictions.TEXT)
    scores = json.dumps({"audio": heard, "text": read}, indent=2, allow_nan=False)
    Path("metrics/evaluation.json").write_text(f"{scores}\n", encoding="utf-8")
    print(f"evaluate: {len(audio_table)} utterances heard, {len(text_table)} read")


if __name__ == "__main__":
    run(main)
