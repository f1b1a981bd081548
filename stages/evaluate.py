"""Score the predictions of the test sets, beside those of the forest and of the baselines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from emopipe.forest import prediction, saving
from emopipe.forest.fitting import branches_of
from emopipe.forest.inputs import join_branches
from emopipe.io.errors import run_stage
from emopipe.io.outputs import write_json, write_text
from emopipe.schemas import dev_answers, predictions, splits, tables
from emopipe.schemas.predictions import AUDIO, EMBEDDING, EMOTION, TEXT, VAD
from emopipe.schemas.vad import AUDIO_VAD, TEXT_VAD, PredictedVad
from emopipe.scoring.baselines import with_baselines
from emopipe.scoring.evaluation import evaluate, targets_of
from emopipe.scoring.parameters import Calibrate
from emopipe.scoring.statistics import calibration, selection, uncalibrated
from emopipe.training.parameters import CrossFitting

METRICS = Path("metrics/evaluation.json")
AUDIO_MODEL = Path("models/audio")


def main() -> None:
    """Write metrics/evaluation.json and data/predictions."""
    calibrated, gold = Calibrate.load().temperature, CrossFitting.load().vad == "gold"
    rows = {"audio": splits.read_audio(), "text": splits.read_text()}
    training = {branch: own[own["split"] == "train"] for branch, own in rows.items()}
    emotion = predictions.read_emotion(AUDIO / EMOTION.name)
    vad = pd.concat([predictions.read_vad(folder / VAD.name) for folder in (AUDIO, TEXT)], ignore_index=True)
    forest, importance = saving.load(), {}
    if forest is not None:
        training["forest"] = _training_rows(forest)
        inputs = prediction.held_out_inputs(forest, vad, rows)
        if len(inputs):
            zero_shot = None if gold else tables.read(predictions.TRAINING, PredictedVad)
            own = prediction.predict(forest, inputs, training["forest"], vad, zero_shot)
            emotion = pd.concat([emotion, own], ignore_index=True)
            importance = prediction.importance(forest, inputs)
    predicted = with_baselines({"emotion": emotion, "vad": vad}, training)
    predictions.write_emotion(predicted["emotion"], EMOTION)
    predictions.write_vad(predicted["vad"], VAD)
    write_text((AUDIO / EMBEDDING.name).read_text(encoding="utf-8"), EMBEDDING)

    targets = targets_of(predicted)
    scores, statistics = evaluate(targets)
    if "emotion" in targets["audio"]:
        temperature = _read_json(AUDIO_MODEL / "config.json")["temperature"]
        audio, dev = targets["audio"]["emotion"], dev_answers.read(AUDIO_MODEL)
        if not calibrated and dev is not None:
            dev = dev._replace(probabilities=uncalibrated(dev.probabilities, temperature))
        temperature = temperature if calibrated else None
        statistics["audio"]["emotion"] |= calibration(audio, temperature)
        if dev is not None:
            statistics["audio"]["emotion"]["selection"] = selection(audio, dev)
    if "vad" in targets["text"]:
        statistics["text"]["vad"] |= _read_json(predictions.ORIGINS)
    if "emotion" in targets["forest"]:
        statistics["forest"]["emotion"] |= {"importance": importance, "inputs": branches_of(forest)}
    write_json(statistics, predictions.STATISTICS)
    write_json(scores, METRICS)
    numbers = [f"{len(own.utterances)} {branch} {name}" for branch in targets for name, own in targets[branch].items()]
    print(f"evaluate: test utterances: {', '.join(numbers) or 'none'}")


def _training_rows(forest: RandomForestClassifier) -> pd.DataFrame:
    """Return what the forest was fitted on."""
    paths = {"audio": AUDIO_VAD, "text": TEXT_VAD}
    return join_branches({branch: tables.read(paths[branch], PredictedVad) for branch in branches_of(forest)})


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    run_stage(main)
