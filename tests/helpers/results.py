"""The outputs of the stages before `plot`, made up: two branches with known speakers, or less."""

from __future__ import annotations

import json
from pathlib import Path

import audmetric
import numpy as np
import pandas as pd
import yaml
from sklearn.metrics import accuracy_score, recall_score

from emopipe.results.reading import EXPORT, ROBUSTNESS
from emopipe.schemas import notices, predictions, splits, tables
from emopipe.schemas.manifest import DIMENSIONS, EMOTIONS, Rejection
from emopipe.trust import tables as trust
from emopipe.trust.associations import Association
from emopipe.trust.results import Result
from emopipe.trust.shortcuts import Shortcut
from helpers.paths import ROOT

ORIGIN = {"name": "/weights/base", "family": "whisper", "revision": "r1", "sha256": "5" * 64, "licence": "MIT"}
METADATA = ["utterance", "corpus", "speaker", "sex", "language"]
CALIBRATION = {"temperature": 1.5, "ece": 0.05, "brier": 0.4, "ece_before": 0.09, "brier_before": 0.5}
ONE = "one speaker or utterance says nothing of others"  # why there is no interval


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

    With ``zero_shot`` there are a zero-shot classifier of sound and zero-shot NLI of text. The forest is given the VAD
    of the branches that are named.
    """
    generator = np.random.default_rng(1)
    emotion, vad, statistics = [], [], {"audio": {}, "text": {}, "forest": {}}
    if audio is not None and not targets:
        found = _emotions(_test(audio, "emotion"), "audio", ["zero_shot"] * zero_shot + ["majority"], generator)
        statistics["audio"]["emotion"] = _emotion_statistics(found) | {
            "calibration": CALIBRATION, "reliability": _reliability(found), "reliability_before": _reliability(found),
            "selection": _selection(found),
        }  # fmt: skip
        emotion.append(found)
    elif audio is not None:
        vad.append(_ratings(_test(audio, targets[0]), "audio", targets, ["mean"], generator))
        statistics["audio"]["vad"] = _vad_statistics(vad[-1])
    if text is not None:
        others = ["zero_shot", "zero_shot_uncalibrated", *(["nli", "nli_uncalibrated"] if zero_shot else []), "mean"]
        vad.append(_ratings(_test(text, DIMENSIONS[0]), "text", DIMENSIONS, others, generator))
        nli = {"nli": ORIGIN | {"name": "someone/mnli"}} if zero_shot else {}
        statistics["text"]["vad"] = _vad_statistics(vad[-1]) | nli
    known = text if forest == ("text",) else audio
    if known is not None:
        others = ["text_only", "audio_only", "zero_shot"] if len(forest) > 1 else ["zero_shot"] * ("text" in forest)
        emotion.append(_emotions(_test(known, "emotion"), "forest", [*others, "majority"], generator))
        worth = {
            f"{branch}_{name}": {"mean": 0.1 * i + 0.011, "std": 0.02}
            for branch in forest
            for i, name in enumerate(DIMENSIONS)
        }
        statistics["forest"]["emotion"] = _emotion_statistics(emotion[-1]) | {"inputs": forest, "importance": worth}
    columns = [*METADATA, "branch", "model"]
    _write_csv([pd.DataFrame(columns=[*columns, "truth", "prediction"]), *emotion], folder / predictions.EMOTION)
    _write_csv([pd.DataFrame(columns=[*columns, "dimension", "truth", "prediction"]), *vad], folder / predictions.VAD)
    (folder / predictions.STATISTICS).write_text(json.dumps(statistics))
    _write_embedding(folder, audio, generator)
    (folder / "metrics").mkdir(exist_ok=True)
    (folder / ROBUSTNESS).write_text(json.dumps(_robustness(bool(targets)) if audio is not None else {}))
    (folder / EXPORT).write_text(json.dumps(_export(bool(targets)) if audio is not None else {}))
    _write_trust(folder, statistics)
    _write_splits(folder, audio, text)
    _write_models(folder, audio, text, targets)
    parameters = yaml.safe_load((ROOT / "params.yaml").read_text())
    parameters["plot"]["dpi"] = dpi
    if "audio" in forest:
        parameters["forest"]["inputs"] = "both" if "text" in forest else "audio"
        parameters["model"]["task"] = "regression"
    parameters["data"]["audio"]["corpora"] = ["emodb:/home/anna/emodb"]
    (folder / "params.yaml").write_text(yaml.safe_dump(parameters, sort_keys=False))


def _test(split, column):
    return split[(split["split"] == "test") & split[column].notna() & (split[column] != "")].reset_index(drop=True)


def _emotions(test, branch, others, generator):
    """Return predictions of a trained model that is right more often than not, and of others that are less."""
    labels, found = sorted(set(test["emotion"])), []
    truth = test["emotion"].map(labels.index).to_numpy(dtype=int)
    for i, model in enumerate(["trained", *others]):
        chances = generator.dirichlet(np.ones(len(labels)), len(test)) + (0.45 - 0.1 * i) * np.eye(len(labels))[truth]
        chances = np.eye(len(labels))[np.zeros_like(truth)] if model == "majority" else chances
        chances /= chances.sum(1, keepdims=True)
        answers = {"truth": test["emotion"], "prediction": np.array(labels, dtype=object)[chances.argmax(1)]}
        own = test[METADATA].assign(branch=branch, model=model, **answers)
        found.append(own.assign(**{f"p_{label}": chances[:, k] for k, label in enumerate(labels)}))
    return pd.concat(found, ignore_index=True)


def _ratings(test, branch, names, others, generator):
    """Return predictions of a trained model, of others with larger errors, and of the mean."""
    found = []
    for i, model in enumerate(["trained", *others]):
        for name in names:
            noise = (0.8 + 0.5 * i) * generator.normal(size=len(test))
            predicted = np.full(len(test), 3.0) if model == "mean" else test[name] + noise
            own = test[METADATA].assign(branch=branch, model=model, dimension=name, truth=test[name])
            found.append(own.assign(prediction=predicted))
    return pd.concat(found, ignore_index=True)


def _emotion_statistics(table):
    models = dict(list(table.groupby("model", sort=False)))
    scores = {name: _emotion_scores(own) for name, own in models.items()}
    statistics, ours = _statistics(models["trained"], scores), models["trained"]
    for found in statistics["tests"].values():
        found["mcnemar_p"] = 0.03
    if "majority" in scores:
        statistics["intervals"]["majority"]["uar"] |= {"low": None, "high": None, "note": "one answer for all"}
    groups = {column: _groups(ours, column) for column in METADATA[1:]}
    return statistics | {"groups": {column: groups[column] for column in ("speaker", "sex", "corpus", "language")}}


def _emotion_scores(own):
    labels = sorted(set(own["truth"]))
    recalls = recall_score(own["truth"], own["prediction"], labels=labels, average=None)
    scores = {"uar": recalls.mean(), "accuracy": accuracy_score(own["truth"], own["prediction"])}
    return scores | {f"recall.{label}": recall for label, recall in zip(labels, recalls, strict=True)}


def _groups(own, column):
    sizes = own[own[column] != ""].groupby(column)
    scores = {name: _emotion_scores(rows) | {"utterances": len(rows)} for name, rows in sizes if len(rows) >= 10}
    values = {name: {key: found[key] for key in ("uar", "accuracy", "utterances")} for name, found in scores.items()}
    uars = [found["uar"] for found in values.values()]
    return {"values": values, "gap": max(uars) - min(uars) if len(uars) > 1 else None}


def _vad_statistics(table):
    models = dict(list(table.groupby("model", sort=False)))
    scores = {}
    for model, own in models.items():
        scores[model] = {}
        for name, rows in own.groupby("dimension", sort=False):
            scores[model][f"ccc.{name}"] = audmetric.concordance_cc(rows["truth"], rows["prediction"])
            scores[model][f"mse.{name}"] = float(((rows["truth"] - rows["prediction"]) ** 2).mean())
        for score in ("ccc", "mse"):
            own = [value for key, value in scores[model].items() if key.startswith(score)]
            scores[model][f"{score}.mean"] = float(np.mean(own))
    return _statistics(models["trained"], scores)


def _statistics(ours, scores):
    """Return intervals around the scores of each model, none where one speaker speaks, and tests against ours."""
    speakers = set(ours["speaker"]) - {""}
    by, units = ("speaker", len(speakers)) if speakers else ("utterance", len(ours))
    around = (lambda x: {"low": x - 0.08, "high": x + 0.04}) if units > 1 else lambda _: {"low": None, "high": None}
    note = {} if units > 1 else {"note": ONE}
    intervals = {
        model: {key: {"value": value, **around(value), **note} for key, value in own.items()}
        for model, own in scores.items()
    }
    tests = {}
    for model in list(scores)[1:]:
        gaps = {key: scores["trained"][key] - value for key, value in scores[model].items()}
        tests[model] = {key: {"difference": gap, **around(gap), "p": 0.02, **note} for key, gap in gaps.items()}
    return {"utterances": ours["utterance"].nunique(), "by": by, "units": units, "intervals": intervals, "tests": tests}


def _reliability(table):
    ours = table[table["model"] == "trained"]
    chance = ours.filter(like="p_").max(axis=1)
    bins = pd.DataFrame({"bin": (chance * 10).astype(int), "confidence": chance,
                         "accuracy": (ours["truth"] == ours["prediction"]).astype(float)})  # fmt: skip
    found = bins.groupby("bin").mean()
    found.insert(0, "count", bins.groupby("bin").size())
    return found.reset_index().to_dict("records")


def _selection(table):
    ours = table[table["model"] == "trained"]
    chance = ours.filter(like="p_").max(axis=1).to_numpy()
    wrong = (ours["truth"] != ours["prediction"]).to_numpy()[np.argsort(-chance)]
    given = np.arange(1, len(wrong) + 1)
    curve = [{"coverage": i / len(wrong), "risk": wrong[:i].mean()} for i in given]
    answered = {
        share: {"threshold": 0.5, "covered": float(share) - 0.01, "accuracy": 0.7, "uar": 0.65}
        for share in ("0.9", "0.8")
    }
    sets = {"share": 0.9, "guarantee": "utterance", "covered": 0.912, "worst": 0.8, "size": 1.5, "labels": 4}
    return {"aurc": 0.123, "aurc_perfect": 0.045, "curve": curve, "answered": answered, "sets": sets}


def _export(regression):
    """Return how a file compares with the model that it was made from."""
    return {
        "precision": "int8", "megabytes": 12.96, "compared_on": "the test set of data/splits/audio.csv",
        "recordings": 64, "seconds": 150.2, "answers": 64, "largest_difference": 0.0432, "mean_difference": 0.0012,
        "differ_by_more": 50, "changed_labels": None if regression else 1,
        "ccc" if regression else "uar": {"emopipe": 0.7, "exported": 0.695}, "versions": {"onnx": "1.23.2"},
    }  # fmt: skip


def _robustness(regression):
    """Return what two conditions change, of which one has thresholds."""
    found = {"score": 0.6, "change": -0.1, "low": -0.15, "high": -0.05, "unchanged": 0.8}
    judged = {"thresholds": {"change": -0.05, "unchanged": 0.9}, "passed": False}
    return {
        "score": "ccc.mean" if regression else "uar", "clean": {"score": 0.7},
        "conditions": {
            "white_noise": {"20dB": found | judged},
            "packet_loss": {"5%": found, "20%": found | {"low": None, "high": None}},
        },
        "sounds": {
            "tone": {"auroc": {"spread": 0.6} | ({} if regression else {"confidence": 0.7, "energy": 0.8})}
            | ({} if regression else {"confidence": 0.5, "answered": 0.4}),
        },
        "summary": {"tested": 1, "passed": 0, "mean_change": {"noise": -0.1, "channel": -0.1}},
    }  # fmt: skip


def _write_csv(parts, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    filled = [part for part in parts[1:] if len(part)]
    tables.write_csv(pd.concat(filled) if filled else parts[0], path)


def _write_embedding(folder, audio, generator):
    table = pd.DataFrame(columns=["utterance", "component_1"])
    if audio is not None:
        test = audio[audio["split"] == "test"]
        numbers = [EMOTIONS.index(emotion) if emotion else 0 for emotion in test["emotion"]]
        points = generator.normal(size=(len(test), 8)) + 4 * np.eye(len(EMOTIONS), 8)[numbers]
        table = pd.DataFrame(points, columns=[f"component_{i + 1}" for i in range(8)])
        table.insert(0, "utterance", test["utterance"].to_numpy())
    tables.write_csv(table, folder / predictions.EMBEDDING)


def _write_trust(folder, statistics):
    """Write a shortcut that tells and one that does not apply, and of every branch a test passed, failed and left."""
    shortcuts, tests = [], []
    for branch, (part,) in ((name, own.values()) for name, own in statistics.items() if own):
        score = "uar" if "uar" in part["intervals"]["trained"] else "ccc.valence"
        common = {"score": score, "low": 0.3, "high": 0.5, "p": 0.005, "baseline": 0.25, "n": 40, "note": ""}
        if branch == "audio" and score in part["intervals"]["trained"]:
            shortcuts = [{"name": "noise_floor", "value": 0.4} | common, {"name": "speaker", **common, "value": None}]
        one = {"branch": branch, "test": "fairness_sex", "score": "recall", "subject": "anger", "group": "female",
               "value": -0.2, "low": -0.3, "high": None, "rule": "within", "threshold": 0.175, "n": 40}  # fmt: skip
        tests += [one | {"passed": passed} for passed in (True, False, None)]
    for rows, names, path in (
        (shortcuts, Shortcut._fields, trust.SHORTCUTS), ([], Association._fields, trust.ASSOCIATIONS),
        (tests, ["branch", *Result._fields], trust.FAIRNESS),
    ):  # fmt: skip
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        tables.write_csv(pd.DataFrame(rows, columns=list(names)), folder / path)


def _write_splits(folder, audio, text):
    for part, path, item in ((audio, splits.AUDIO, splits.AudioItem), (text, splits.TEXT, splits.TextItem)):
        words = {"transcript": "These are the words."} if item is splits.TextItem else {}
        empty = pd.DataFrame(columns=list(item.model_fields))
        tables.write(empty if part is None else part.assign(**words), folder / path, item)
    leak = {"kind": "text", "content": "abc", "sets": "train|test", "utterances": 2, "action": "left_out"}
    tables.write(pd.DataFrame(columns=list(splits.Leak.model_fields)), folder / splits.AUDIO_LEAKS, splits.Leak)
    tables.write(pd.DataFrame([leak]), folder / splits.TEXT_LEAKS, splits.Leak)
    rejected = [{"utterance": f"synthetic/x{i}", "path": "x.wav", "reason": "silent"} for i in range(3)]
    tables.write(pd.DataFrame(rejected), folder / "data/audio/rejected.csv", Rejection)
    notice = {"source": "audio", "number": 2, "total": 9, "unit": "utterances", "what": "left out: not rated"}
    for path, found in ((notices.FETCH, []), (notices.SPLIT, [notice]), (notices.ENCODE, []), (notices.TEXT, [])):
        rows = pd.DataFrame(found, columns=list(notices.Notice.model_fields)).assign(first="")
        tables.write(rows, folder / path, notices.Notice)


def _write_models(folder, audio, text, targets):
    models, versions = {"audio": {"model": None}, "text": {"rows": 0}}, {"torch": "2.0"}
    if audio is not None:
        task = {"targets": {"names": list(targets)}} if targets else {"labels": sorted(set(audio["emotion"]) - {""})}
        metric = "ccc" if targets else "uar"
        models["audio"] = {
            **task, "selection_metric": metric, "epochs": [3, 4, 3] if targets else [3],
            "model": {"features": "frozen", "trainable_layers": 1, "ensemble_size": 3 if targets else 1},
            "train": {"refit": "best_epoch" if targets else "all_epochs"}, "trainable_parameters": 1234567,
            "provenance": {"backbone": ORIGIN, "versions": versions, "max_seconds": 15},
        }  # fmt: skip
        _write_curves(folder / "metrics/audio", ("train/loss", "dev/loss", f"dev/{metric}"))
    if text is not None:
        models["text"] = {
            "rows": 10, "epochs": [2, 2], "selection_metric": "mse", "text": {"refit": "none", "ensemble_size": 2},
            "encoder": ORIGIN, "versions": versions,
        }  # fmt: skip
        _write_curves(folder / "metrics/text", ("train/loss", "dev/loss", "dev/mse"))
    for branch, config in models.items():
        (folder / f"models/{branch}").mkdir(parents=True, exist_ok=True)
        (folder / f"metrics/{branch}/plots/metrics").mkdir(parents=True, exist_ok=True)
        (folder / f"models/{branch}/config.json").write_text(json.dumps(config))


def _write_curves(folder, names):
    for name in names:
        path = folder / "plots/metrics" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame({"step": [0, 1, 2], "value": [0.9, 0.6, 0.5]}).to_csv(path, sep="\t", index=False)
