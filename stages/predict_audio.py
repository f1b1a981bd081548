"""Predict the test set from audio."""

from __future__ import annotations

from emopipe.audio import saving
from emopipe.audio.held_out import predict_test_set
from emopipe.encoding.store import Store
from emopipe.io.errors import run_stage
from emopipe.parameters import Runtime
from emopipe.schemas.predictions import AUDIO, EMBEDDING, EMOTION, VAD, write_embedding, write_emotion, write_vad
from emopipe.schemas.splits import read_audio
from emopipe.scoring.parameters import Calibrate
from emopipe.training.devices import set_up


def main() -> None:
    """Write data/predicted/audio."""
    calibrated, runtime = Calibrate.load().temperature, Runtime.load()
    device = set_up(runtime, seed=0)  # nothing here is drawn at random
    predicted = predict_test_set(saving.load(), read_audio(), Store(), calibrated, device)
    write_emotion(predicted.emotion, AUDIO / EMOTION.name)
    write_vad(predicted.vad, AUDIO / VAD.name)
    write_embedding(predicted.embedding, AUDIO / EMBEDDING.name)
    utterances = {*predicted.emotion["utterance"], *predicted.vad["utterance"]}
    print(f"predict_audio: {len(utterances)} test utterances")


if __name__ == "__main__":
    run_stage(main)
