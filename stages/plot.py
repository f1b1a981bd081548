"""Draw what the trainings and the evaluation found, and write the report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emopipe.backbones.catalogue import find
from emopipe.commands import upload as hub
from emopipe.figures import baselines, confusion, curves, reliability, speakers, tsne, vad
from emopipe.io.errors import run_stage
from emopipe.io.outputs import write_text
from emopipe.parameter_file import ParameterFile
from emopipe.report import card, data, page
from emopipe.schemas import predictions, splits, tables
from emopipe.schemas.manifest import DIMENSIONS, Rejection
from emopipe.schemas.predictions import AUDIO_COLUMNS, NLI, PREDICTED, ZERO_SHOT
from emopipe.scoring.baselines import majority_class, mean_prediction
from emopipe.scoring.headline import COLUMNS, MAJORITY, MEAN, emotion_rows, vad_rows

FIGURES, NUMBERS, REPORT = Path("metrics/figures"), Path("metrics/plots"), Path("metrics/report.html")
FOREST_MODELS = {  # by the columns of predictions.FOREST
    "fine-tuned": "prediction",
    "text alone": "text_alone",
    "audio alone": "audio_alone",
    "zero-shot": "zero_shot",
    MAJORITY: "majority",
}


def main() -> None:
    """Write metrics/figures, the numbers behind each, and metrics/report.html; a branch that is off shows nothing.

    At the end the audio model is published, where ``publish.push_to_hub`` names a repository.
    """
    parameters = ParameterFile.load()
    plot = parameters.plot
    parts = {"audio": splits.read_audio(), "text": splits.read_text()}
    details = json.loads(predictions.DETAILS.read_text(encoding="utf-8"))
    models = {branch: json.loads(Path(f"models/{branch}/config.json").read_text("utf-8")) for branch in parts}
    numbers = _numbers(parts, details)
    drawn = _draw(numbers, details, {branch: model.get("goal") for branch, model in models.items()}, plot.dpi)
    content = {
        "data": {
            "audio": data.describe(parts["audio"], tables.read(splits.AUDIO_LEAKS, splits.Leak)),
            "text": data.describe(parts["text"], tables.read(splits.TEXT_LEAKS, splits.Leak)),
            "rejected": data.reasons(tables.read(Path("data/audio/rejected.csv"), Rejection)),
        },
        "details": details,
        "headline": numbers["baselines"].to_dict("records"),
        "models": models,
        "parameters": parameters.model_dump(exclude={"runtime"}),
    }
    write_text(page.render(content, drawn, plot.dpi), REPORT)
    print(f"plot: {len(drawn)} figures, {REPORT}")


def _publish(repository: str, content: dict[str, Any]) -> None:
    """Upload the audio model with what the evaluation found; see :func:`hub.upload`."""
    if content["data"]["audio"] is None:
        print("plot: publish.push_to_hub: the audio branch is switched off; nothing was uploaded")
        return
    origin = content["models"]["audio"]["encoding"]["backbone"]
    base_model = find(origin["name"]).published.repository if origin["revision"] else ""  # a folder has no revision
    print(f"plot: {hub.upload(repository, Path('models/audio'), card.render(content, repository, base_model or None))}")


def _numbers(parts: dict[str, pd.DataFrame], details: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Return the table behind each figure, and write them; the training curves are DVCLive's."""
    audio, text, forest = predictions.read_audio(), predictions.read_text(), predictions.read_forest()
    named = text[(text["emotion"] != "") & (text[f"emotion{PREDICTED}"] != "")]
    named = named.assign(truth=named["emotion"], prediction=named[f"emotion{PREDICTED}"])
    rated = text[text[list(DIMENSIONS)].notna().all(axis=1)]
    none = audio[:0].reindex(columns=list(AUDIO_COLUMNS))
    classified, regressed = (none, audio) if predictions.targets_of(audio) else (audio, none)
    embedding = predictions.read_embedding()
    heard = embedding.merge(parts["audio"].loc[parts["audio"]["emotion"] != "", ["utterance", "emotion"]])
    groups = {"audio": details["audio"], "text": details["text"].get("emotion", {}), "forest": details["forest"]}
    numbers = {
        "baselines": _headline(parts, classified, regressed, named, rated, forest),
        "confusion_audio": classified[["truth", "prediction"]],
        "confusion_text": named[["truth", "prediction"]],
        "confusion_forest": forest[["truth", "prediction"]],
        "reliability": pd.DataFrame(details["audio"].get("reliability", []), columns=reliability.COLUMNS),
        "reliability_before": pd.DataFrame(details["audio"].get("reliability_before", []), columns=reliability.COLUMNS),
        "speakers": speakers.table({k: v["groups"]["speaker"]["values"] for k, v in groups.items() if "groups" in v}),
        "tsne_audio": tsne.embed(heard, heard.drop(columns=["utterance", "emotion"]).to_numpy()),
        "tsne_vad": tsne.embed(named, _vad(named, PREDICTED)),
        "vad": vad.histogram(rated),
        "vad_audio": vad.histogram(regressed),
    }
    for name, table in numbers.items():
        tables.write_csv(table, NUMBERS / f"{name}.csv", "%.6g")
    return numbers


def _headline(
    parts: dict[str, pd.DataFrame],
    classified: pd.DataFrame,
    regressed: pd.DataFrame,
    named: pd.DataFrame,
    rated: pd.DataFrame,
    forest: pd.DataFrame,
) -> pd.DataFrame:
    """Return the headline scores.

    Args:
        parts: the split of each branch
        classified: audio predictions of classes
        regressed: audio predictions of dimensions
        named: text predictions of utterances with an emotion
        rated: text predictions of utterances with VAD
        forest: predictions of a forest that hears
    """
    rows = []
    if len(regressed):
        targets = predictions.targets_of(regressed)
        train = parts["audio"].query("split == 'train'")[targets].to_numpy()
        models = {"fine-tuned": _vad(regressed, PREDICTED, targets), MEAN: mean_prediction(train, len(regressed))}
        rows += vad_rows("audio", targets, _vad(regressed, "", targets), regressed["speaker"], models)
    for branch, table, zero_shot in (("audio", classified, "zero_shot"), ("text", named, f"emotion{ZERO_SHOT}")):
        if len(table):
            train = parts[branch].query("split == 'train' and emotion != ''")
            models = {"fine-tuned": table["prediction"], "zero-shot": table[zero_shot]}
            models = {model: said for model, said in models.items() if (said != "").all()}
            models[MAJORITY] = [majority_class(train["emotion"])] * len(table)
            rows += emotion_rows(f"{branch} emotion", table["truth"], table["speaker"], models)
    if len(forest):
        models = {model: forest[column] for model, column in FOREST_MODELS.items() if (forest[column] != "").all()}
        rows += emotion_rows("forest emotion", forest["truth"], forest["speaker"], models)
    if len(rated):
        train = parts["text"].query("split == 'train'")[list(DIMENSIONS)].dropna().to_numpy()
        models = {"fine-tuned": _vad(rated, PREDICTED), "zero-shot": _vad(rated, ZERO_SHOT)}
        models |= {"zero-shot NLI": _vad(rated, NLI)} if f"{DIMENSIONS[0]}{NLI}" in rated else {}
        models[MEAN] = mean_prediction(train, len(rated))
        rows += vad_rows("text", DIMENSIONS, _vad(rated), rated["speaker"], models)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _vad(table: pd.DataFrame, kind: str = "", names: Sequence[str] = DIMENSIONS) -> np.ndarray:
    return table[[f"{name}{kind}" for name in names]].to_numpy()


def _draw(
    numbers: dict[str, pd.DataFrame], details: dict[str, Any], goals: dict[str, str | None], dpi: int
) -> list[Path]:
    """Draw a figure of each table that has rows, and the training curves; return the files."""
    draw = {
        "baselines": baselines.draw,
        "confusion_audio": partial(confusion.draw, title="audio: emotion"),
        "confusion_text": partial(confusion.draw, title="text: emotion from VAD"),
        "confusion_forest": partial(confusion.draw, title="forest: emotion from VAD"),
        "reliability": partial(
            reliability.draw, before=numbers["reliability_before"], calibration=details["audio"].get("calibration")
        ),
        "speakers": speakers.draw,
        "tsne_audio": partial(tsne.draw, title="audio: t-SNE of the pooled embedding"),
        "tsne_vad": partial(tsne.draw, title="text: t-SNE of the predicted VAD"),
        "vad": vad.draw,
        "vad_audio": vad.draw,
    }
    FIGURES.mkdir(parents=True, exist_ok=True)
    drawn = [name for name in draw if len(numbers[name])]
    for name in drawn:
        draw[name](numbers[name], FIGURES / f"{name}.png", dpi)
    histories = {branch: history for branch in goals if len(history := _history(Path("metrics") / branch))}
    if histories:
        curves.draw(histories, goals, FIGURES / "training.png", dpi)
        drawn.append("training")
    return [FIGURES / f"{name}.png" for name in drawn]


def _history(folder: Path) -> pd.DataFrame:
    """Return DVCLive's curves as one table, a row per epoch and a column per metric."""
    root = folder / "plots" / "metrics"
    files = {f.relative_to(root).with_suffix("").as_posix(): pd.read_csv(f, sep="\t") for f in root.rglob("*.tsv")}
    return pd.DataFrame({name: files[name].iloc[:, -1] for name in sorted(files)})


if __name__ == "__main__":
    run_stage(main)
