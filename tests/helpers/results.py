"""The outputs of the stages before `plot`, made up: two branches with known speakers, or less."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from emopipe.schemas import predictions, splits, tables
from emopipe.schemas.manifest import DIMENSIONS, EMOTIONS, Rejection
from emopipe.schemas.predictions import (
    FOREST_COLUMNS,
    NLI,
    PREDICTED,
    TEXT_COLUMNS,
    WHO,
    ZERO_SHOT,
    audio_table,
    rated_table,
)
from emopipe.schemas.vad import features
from emopipe.scoring.baselines import mean_prediction
from emopipe.scoring.calibration import reliability
from emopipe.scoring.statistics import classification_details, regression_details
from helpers.closure import ROOT

ORIGIN = {"name": "/weights/base", "family": "whisper", "revision": "r1", "sha256": "5" * 64, "licence": "MIT"}
CALIBRATION = {"temperature": 1.5, "ece": 0.05, "brier": 0.4, "ece_before": 0.09, "brier_before": 0.5}


def rows(classes=4, speakers=5, each=24):
    """Return a split: speakers who take turns, the last two of them in dev and test; '' are not known."""
    number = np.arange(speakers * each)
    who = number // each
    names = np.array([f"synthetic/s{i:02d}" for i in range(speakers)], dtype=object)
    sets = np.where(who == speakers - 2, "dev", "train")
    return pd.DataFrame(
        {
            "utterance": [f"synthetic/{i:05d}" for i in number],
            "corpus": "synthetic",
            "speaker": names[who],
            "sex": np.where(who % 2, "female", "male"),
            "language": "en",
            "split": np.where(who >= speakers - max(1, speakers // 3), "test", sets),
            "emotion": [EMOTIONS[i % classes] for i in number],
            "valence": 1 + 4 * np.sin(number) ** 2,
            "arousal": 1 + 4 * np.cos(number) ** 2,
            "dominance": 3 + np.sin(2 * number),
        }
    )


def write(folder: Path, audio=None, text=None, *, zero_shot=False, targets=(), forest=("text",), dpi=50):
    """Write what `plot` reads; a branch that is None is switched off, and audio with targets is a regression.

    The forest knows the branches that are named.
    """
    generator = np.random.default_rng(1)
    worth = {name: {"mean": 0.1 * i + 0.011, "std": 0.02} for i, name in enumerate(features(*forest))}
    details = {"audio": {}, "text": {}, "forest": {"importance": worth} if text is not None else {}}
    parts = {"audio": audio, "text": text}
    for branch, part in parts.items():
        item, balance = (splits.AudioItem, splits.AUDIO) if branch == "audio" else (splits.TextItem, splits.TEXT)
        empty = pd.DataFrame(columns=list(item.model_fields))
        extra = {"transcript": "words"} if branch == "text" else {}
        table = empty if part is None else part.assign(**extra)
        tables.write(table, folder / balance, item)
        (folder / f"models/{branch}").mkdir(parents=True, exist_ok=True)
        (folder / f"metrics/{branch}/plots/metrics").mkdir(parents=True, exist_ok=True)
    leak = {"kind": "text", "content": "abc", "sets": "train|test", "utterances": 2, "action": "left_out"}
    tables.write(pd.DataFrame(columns=list(splits.Leak.model_fields)), folder / splits.AUDIO_LEAKS, splits.Leak)
    tables.write(pd.DataFrame([leak]), folder / splits.TEXT_LEAKS, splits.Leak)
    rejected = [{"utterance": f"synthetic/x{i}", "path": "x.wav", "reason": "silent"} for i in range(3)]
    tables.write(pd.DataFrame(rejected), folder / "data/audio/rejected.csv", Rejection)

    models = {"audio": {"model": None}, "text": {"rows": 0}}
    versions = {"torch": "2.0"}
    heard, embedding = pd.DataFrame(columns=list(predictions.AUDIO_COLUMNS)), pd.DataFrame(columns=["utterance"])
    if audio is not None:
        test = audio[audio["split"] == "test"]
        labels = sorted(set(audio["emotion"]) - {""})
        points = generator.normal(size=(len(test), 8))
        models["audio"] = {
            "epochs": [3, 4, 3] if targets else [3], "train": {"refit": "best_epoch" if targets else "all_epochs"},
            "trainable_parameters": 1234567, "encoding": {"backbone": ORIGIN, "versions": versions},
        }  # fmt: skip
    if audio is not None and targets:
        heard = rated_table(test, test[list(targets)].to_numpy() + 0.4 * points[:, : len(targets)], targets)
        gold, said = (heard[[f"{name}{kind}" for name in targets]].to_numpy() for kind in ("", PREDICTED))
        mean = mean_prediction(audio.loc[audio["split"] == "train", list(targets)].to_numpy(), len(test))
        details["audio"] = regression_details(gold, said, test["speaker"], {"mean_predictor": mean}, targets)
        models["audio"] |= {"goal": "ccc", "targets": {"names": list(targets)}}
    elif audio is not None:
        truth = np.array([labels.index(emotion) for emotion in test["emotion"]])
        said = generator.dirichlet(np.ones(len(labels)), len(test)) + 0.8 * np.eye(len(labels))[truth]
        said /= said.sum(1, keepdims=True)
        other = generator.dirichlet(np.ones(len(labels)), len(test)) if zero_shot else None
        heard = audio_table(test, said, other, labels)
        majority = [labels[0]] * len(test)
        baselines = {"majority": majority} | ({"zero_shot": heard["zero_shot"]} if zero_shot else {})
        details["audio"] = classification_details(heard, baselines) | {
            "calibration": CALIBRATION,
            "reliability": reliability(said, truth).to_dict("records"),
            "reliability_before": reliability(said**2 / (said**2).sum(1, keepdims=True), truth).to_dict("records"),
        }
        points += 4 * np.eye(len(labels), 8)[truth]
        models["audio"] |= {"goal": "uar", "labels": labels}
    if audio is not None:
        embedding = pd.DataFrame(points, columns=[f"component_{i + 1}" for i in range(8)])
        embedding.insert(0, "utterance", test["utterance"].to_numpy())
        _curves(folder / "metrics/audio", ("train/loss", "dev/loss", f"dev/{models['audio']['goal']}"))
    read = pd.DataFrame(columns=list(TEXT_COLUMNS))
    if text is not None:
        read = text.loc[text["split"] == "test", ["utterance", *WHO, "emotion"]].copy()
        gold = generator.uniform(1, 5, (len(read), 3))
        for kind, noise in (("", 0.0), (PREDICTED, 0.4), (ZERO_SHOT, 1.5)):
            read[[f"{name}{kind}" for name in DIMENSIONS]] = gold + noise * generator.normal(size=gold.shape)
            wrong = generator.random(len(read)) < noise / 2
            read[f"emotion{kind}"] = np.where(wrong, EMOTIONS[0], read["emotion"])
        kinds = [read[[f"{name}{kind}" for name in DIMENSIONS]].to_numpy() for kind in ("", PREDICTED, ZERO_SHOT)]
        mean = mean_prediction(text.loc[text["split"] == "train", list(DIMENSIONS)].to_numpy(), len(read))
        rivals = {"zero_shot": kinds[2], "mean_predictor": mean}
        if zero_shot:
            rivals["zero_shot_nli"] = gold + generator.normal(size=gold.shape)
            read[[f"{name}{NLI}" for name in DIMENSIONS]] = rivals["zero_shot_nli"]
        answers = read.assign(truth=read["emotion"], prediction=read[f"emotion{PREDICTED}"])
        baselines = {"zero_shot": read[f"emotion{ZERO_SHOT}"], "majority": [EMOTIONS[0]] * len(read)}
        details["text"] = {
            "vad": regression_details(kinds[0], kinds[1], read["speaker"], rivals),
            "emotion": classification_details(answers, baselines),
        } | ({"nli": ORIGIN | {"name": "someone/mnli"}} if zero_shot else {})
        models["text"] = {
            "rows": 10, "epochs": [2], "goal": "mse", "text": {"refit": "none"}, "encoder": ORIGIN,
            "versions": versions,
        }  # fmt: skip
        _curves(folder / "metrics/text", ("train/loss", "dev/loss", "dev/mse"))
    met = pd.DataFrame(columns=list(FOREST_COLUMNS))
    if "audio" in forest:
        met = audio.loc[audio["split"] == "test", ["utterance", *WHO]].assign(
            truth=test["emotion"], majority=EMOTIONS[0]
        )
        columns = ("prediction", "text_alone", "audio_alone", "zero_shot")
        for i, column in enumerate(columns if "text" in forest else columns[:1]):
            met[column] = np.where(generator.random(len(met)) < 0.2 + 0.1 * i, EMOTIONS[0], met["truth"])
        met = met.reindex(columns=list(FOREST_COLUMNS), fill_value="")
        others = {name: met[name] for name in (*columns[1:], "majority") if (met[name] != "").all()}
        details["forest"] = {"importance": worth, "inputs": list(forest), **classification_details(met, others)}
    predictions.write(met, folder / predictions.FOREST)
    predictions.write(heard, folder / predictions.AUDIO)
    columns = [*TEXT_COLUMNS, *(name for name in read if name.endswith(NLI))]
    predictions.write(read[columns], folder / predictions.TEXT)
    predictions.write(embedding, folder / predictions.EMBEDDING)
    (folder / predictions.DETAILS).write_text(json.dumps(details))
    for branch, config in models.items():
        (folder / f"models/{branch}/config.json").write_text(json.dumps(config))
    parameters = yaml.safe_load((ROOT / "params.yaml").read_text())
    parameters["plot"]["dpi"] = dpi
    if "audio" in forest:
        parameters["forest"]["inputs"] = "both" if "text" in forest else "audio"
        parameters["model"]["task"] = "regression"
    parameters["data"]["audio"]["corpora"] = ["emodb:/home/anna/emodb"]
    (folder / "params.yaml").write_text(yaml.safe_dump(parameters, sort_keys=False))


def _curves(folder: Path, names):
    for name in names:
        path = folder / "plots/metrics" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"step": [0, 1, 2], "value": [0.9, 0.6, 0.5]}).to_csv(path, sep="\t", index=False)
