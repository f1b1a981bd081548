"""Predict the test set from text."""

from __future__ import annotations

from emopipe.io.errors import run_stage
from emopipe.io.outputs import write_json
from emopipe.parameters import Runtime
from emopipe.schemas import tables
from emopipe.schemas.predictions import ORIGINS, TEXT, TRAINING, VAD, write_vad
from emopipe.schemas.splits import read_text
from emopipe.schemas.vad import PredictedVad
from emopipe.text import saving
from emopipe.text.held_out import predict_test_set
from emopipe.text.parameters import Baselines
from emopipe.training.devices import set_up


def main() -> None:
    """Write data/predicted/text."""
    baselines, runtime = Baselines.load(), Runtime.load()
    device = set_up(runtime, seed=0)  # nothing here is drawn at random
    predicted = predict_test_set(saving.load(), read_text(), baselines, device)
    write_vad(predicted.vad, TEXT / VAD.name)
    tables.write(predicted.training, TRAINING, PredictedVad)
    write_json(predicted.origins, ORIGINS)
    print(f"predict_text: {predicted.vad['utterance'].nunique()} test utterances")


if __name__ == "__main__":
    run_stage(main)
