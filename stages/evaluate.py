"""Score the predictions of the test sets, beside those of the forest and of the baselines."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from sklearn.ensemble import RandomForestClassifier

from emopipe.forest import prediction, saving
from emopipe.forest.fitting import branches_of
from emopipe.forest.inputs import join_branches
from emopipe.io.errors import run_stage
from emopipe.io.outputs import write_json, write_text
from emopipe.schemas import predictions, splits, tables
from emopipe.schemas.predictions import BRANCHES, TRAINED
from emopipe.schemas.vad import AUDIO_VAD, TEXT_VAD, PredictedVad
from emopipe.scoring.baselines import majority_baseline, mean_baseline
from emopipe.scoring.evaluation import evaluate, targets_of
from emopipe.scoring.parameters import Calibrate
from emopipe.scoring.statistics import calibration
from emopipe.training.parameters import CrossFitting

METRICS = Path("metrics/evaluation.json")
AUDIO_CONFIG = Path("models/audio/config.json")


def main() -> None:
    """Write metrics/evaluation.json and data/predictions."""
    calibrated, gold = Calibrate.load().temperature, CrossFitting.load().vad == "gold"
    rows = {"audio": splits.read_audio(), "text": splits.read_text()}
    training = {branch: own[own["split"] == "train"] for branch, own in rows.items()}
    forest = saving.load()

    emotion = predictions.read_emotion(predictions.AUDIO / predictions.EMOTION.name)
    branches = (predictions.AUDIO, predictions.TEXT)
    vad = pd.concat([predictions.read_vad(folder / predictions.VAD.name) for folder in branches], ignore_index=True)
    details = {}
    if forest is not None:
        training["forest"] = _training_rows(forest)
        inputs = prediction.held_out_inputs(forest, vad, rows)
        if len(inputs):
            zero_shot = None if gold else tables.read(predictions.TRAINING, PredictedVad)
            predicted = prediction.predict(forest, inputs, training["forest"], vad, zero_shot)
            emotion = pd.concat([emotion, predicted], ignore_index=True)
            details = {"importance": prediction.importance(forest, inputs), "inputs": branches_of(forest)}
    found = {"emotion": _with_majority(emotion, training), "vad": _with_mean(vad, training)}

    targets = targets_of(found)
    scores, statistics = evaluate(targets)
    if "emotion" in targets["audio"]:
        temperature = json.loads(AUDIO_CONFIG.read_text(encoding="utf-8"))["temperature"] if calibrated else None
        statistics["audio"]["emotion"] |= calibration(targets["audio"]["emotion"], temperature)
    if "emotion" in targets["forest"]:
        statistics["forest"]["emotion"] |= details
    if "vad" in targets["text"]:
        statistics["text"]["vad"] |= json.loads(predictions.ORIGINS.read_text(encoding="utf-8"))
    predictions.write_emotion(found["emotion"], predictions.EMOTION)
    predictions.write_vad(found["vad"], predictions.VAD)
    embedding = (predictions.AUDIO / predictions.EMBEDDING.name).read_text(encoding="utf-8")
    write_text(embedding, predictions.EMBEDDING)
    write_json(statistics, predictions.STATISTICS)
    write_json(scores, METRICS)
    numbers = [f"{len(own.utterances)} {branch} {name}" for branch in targets for name, own in targets[branch].items()]
    print(f"evaluate: test utterances: {', '.join(numbers) or 'none'}")


def _training_rows(forest: RandomForestClassifier) -> pd.DataFrame:
    """Return what the forest was fitted on."""
    paths = {"audio": AUDIO_VAD, "text": TEXT_VAD}
    return join_branches({branch: tables.read(paths[branch], PredictedVad) for branch in branches_of(forest)})


def _with_majority(emotion: pd.DataFrame, training: dict[str, pd.DataFrame]) -> pd.DataFrame:
    trained = [emotion[(emotion["branch"] == branch) & (emotion["model"] == TRAINED)] for branch in BRANCHES]
    baselines = [majority_baseline(own, training[own["branch"].iloc[0]]["emotion"]) for own in trained if len(own)]
    return pd.concat([emotion, *baselines], ignore_index=True)


def _with_mean(vad: pd.DataFrame, training: dict[str, pd.DataFrame]) -> pd.DataFrame:
    trained = [vad[(vad["branch"] == branch) & (vad["model"] == TRAINED)] for branch in BRANCHES]
    baselines = [mean_baseline(own, training[own["branch"].iloc[0]]) for own in trained if len(own)]
    return pd.concat([vad, *baselines], ignore_index=True)


if __name__ == "__main__":
    run_stage(main)
