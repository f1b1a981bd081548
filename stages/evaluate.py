"""Score the models and their baselines on the test sets."""

from __future__ import annotations

from pathlib import Path

from emopipe.audio import evaluation as audio
from emopipe.audio import saving as audio_model
from emopipe.encoding.store import Store
from emopipe.forest import evaluation as forest
from emopipe.forest import saving as forest_model
from emopipe.forest.fitting import alone
from emopipe.io.errors import run_stage
from emopipe.io.outputs import write_json
from emopipe.parameter_file import Evaluate
from emopipe.parameters import Runtime
from emopipe.schemas import predictions, tables
from emopipe.schemas.splits import read_audio, read_text
from emopipe.schemas.vad import LEARNT, Learnt
from emopipe.text import evaluation as text
from emopipe.text import saving as text_model
from emopipe.training.device import set_up
from emopipe.training.parameters import CrossFitting


def main() -> None:
    """Write metrics/evaluation.json and data/predictions."""
    evaluate, taught, runtime = Evaluate.load(), CrossFitting.load().vad, Runtime.load()
    device = set_up(runtime, seed=0)  # nothing here is drawn at random
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
    run_stage(main)
