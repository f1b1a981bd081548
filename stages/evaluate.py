"""Score the models and their baselines on the test sets."""

from __future__ import annotations

from pathlib import Path

from stages.audio import evaluation as audio
from stages.audio import saving as audio_model
from stages.audio.store import Store
from stages.contracts import predictions, tables
from stages.contracts.errors import run
from stages.contracts.forest import LEARNT, Learnt
from stages.contracts.outputs import write_json
from stages.contracts.parameters import load
from stages.contracts.splits import read_audio, read_text
from stages.forest import evaluation as forest
from stages.forest import saving as forest_model
from stages.forest.fitting import alone
from stages.text import evaluation as text
from stages.text import saving as text_model
from stages.training.device import prepare


def main() -> None:
    """Write metrics/evaluation.json and data/predictions."""
    evaluate, taught, runtime = load("evaluate", "forest.vad", "runtime")
    device = prepare(runtime, seed=0)  # nothing here is drawn at random
    grown, learnt = forest_model.load(), tables.read(LEARNT, Learnt)
    rows, words = read_audio(), alone(grown, learnt, "text")
    heard = audio.evaluate(audio_model.load(), rows, Store(), evaluate.temperature, device)
    read = text.evaluate(text_model.load(), words, read_text(), taught == "gold", evaluate, device)
    emotions = heard.table["utterance"].map(rows.set_index("utterance")["emotion"])
    met = forest.evaluate(grown, learnt, read.table, heard.table.assign(emotion=emotions))
    for found, path in ((heard, predictions.AUDIO), (read, predictions.TEXT), (met, predictions.FOREST)):
        predictions.write(found.table, path)
    predictions.write(heard.embedding, predictions.EMBEDDING)
    branches = {"audio": heard, "text": read, "forest": met}
    write_json({name: found.details for name, found in branches.items()}, predictions.DETAILS)
    write_json({name: found.scores for name, found in branches.items()}, Path("metrics/evaluation.json"))
    print(f"evaluate: {len(heard.table)} utterances heard, {len(read.table)} read")


if __name__ == "__main__":
    run(main)
