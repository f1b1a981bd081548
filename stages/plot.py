"""Draw what the trainings and the evaluation found, and write the report."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from stages.contracts import predictions, splits, tables
from stages.contracts.errors import run
from stages.contracts.manifest import DIMENSIONS, Rejection
from stages.contracts.parameters import Parameters, load
from stages.contracts.predictions import PREDICTED, ZERO_SHOT
from stages.figures import baselines, confusion, curves, reliability, speakers, tsne, vad
from stages.report import data, page
from stages.scoring.baselines import majority_class
from stages.scoring.headline import COLUMNS, MAJORITY, emotion_rows, vad_rows

FIGURES, NUMBERS, REPORT = Path("metrics/figures"), Path("metrics/plots"), Path("metrics/report.html")
SCORES = {"audio": ("dev/uar", "UAR"), "text": ("dev/mse", "MSE")}


def main() -> None:
    """Write metrics/figures, the numbers behind each, and metrics/report.html; a branch that is off shows nothing."""
    groups = load("data", "resample", "split", "model", "encode", "train", "text", "forest", "evaluate", "plot")
    dpi = groups[-1].dpi
    parts = {"audio": splits.read_audio(), "text": splits.read_text()}
    details = json.loads(predictions.DETAILS.read_text(encoding="utf-8"))
    numbers = _numbers(parts, details)
    drawn = _draw(numbers, details, dpi)
    content = {
        "data": {
            "audio": data.describe(parts["audio"], tables.read(splits.AUDIO_LEAKS, splits.Leak)),
            "text": data.describe(parts["text"], tables.read(splits.TEXT_LEAKS, splits.Leak)),
            "rejected": data.reasons(tables.read(Path("data/audio/rejected.csv"), Rejection)),
        },
        "details": details,
        "headline": numbers["baselines"].to_dict("records"),
        "models": {branch: json.loads(Path(f"models/{branch}/config.json").read_text("utf-8")) for branch in parts},
        # load returns the groups in the order asked for, which is that of the file
        "parameters": {name: group.model_dump() for name, group in zip(Parameters.model_fields, groups, strict=False)},
    }
    REPORT.write_text(page.render(content, drawn, dpi), encoding="utf-8", newline="\n")
    print(f"plot: {len(drawn)} figures, {REPORT}")


def _numbers(parts: dict[str, pd.DataFrame], details: dict[str, Any]) -> dict[str, pd.DataFrame]:
    """Return the table behind each figure, and write them; the training curves are DVCLive's."""
    audio, text = predictions.read_audio(), predictions.read_text()
    named = text[(text["emotion"] != "") & (text[f"emotion{PREDICTED}"] != "")]
    named = named.assign(truth=named["emotion"], prediction=named[f"emotion{PREDICTED}"])
    rated = text[text[list(DIMENSIONS)].notna().all(axis=1)]
    embedding = pd.read_csv(predictions.EMBEDDING, dtype={"utterance": str})
    heard = audio.rename(columns={"truth": "emotion"}).set_index("utterance").loc[embedding["utterance"]].reset_index()
    groups = {"audio": details["audio"], "text": details["text"].get("emotion", {})}
    numbers = {
        "baselines": _headline(parts, audio, named, rated),
        "confusion_audio": audio[["truth", "prediction"]],
        "confusion_text": named[["truth", "prediction"]],
        "reliability": pd.DataFrame(details["audio"].get("reliability", []), columns=reliability.COLUMNS),
        "reliability_before": pd.DataFrame(details["audio"].get("reliability_before", []), columns=reliability.COLUMNS),
        "speakers": speakers.table({k: v["groups"]["speaker"]["values"] for k, v in groups.items() if v}),
        "tsne_audio": tsne.embed(heard, embedding.drop(columns="utterance").to_numpy()),
        "tsne_vad": tsne.embed(named, named[[f"{name}{PREDICTED}" for name in DIMENSIONS]].to_numpy()),
        "vad": vad.histogram(rated),
    }
    NUMBERS.mkdir(parents=True, exist_ok=True)
    for name, table in numbers.items():
        table.to_csv(NUMBERS / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")
    return numbers


def _headline(
    parts: dict[str, pd.DataFrame], audio: pd.DataFrame, named: pd.DataFrame, rated: pd.DataFrame
) -> pd.DataFrame:
    rows = []
    for branch, table, zero_shot in (("audio", audio, "zero_shot"), ("text", named, f"emotion{ZERO_SHOT}")):
        if len(table):
            train = parts[branch].query("split == 'train' and emotion != ''")
            models = {"fine-tuned": table["prediction"], "zero-shot": table[zero_shot]}
            models = {model: said for model, said in models.items() if (said != "").all()}
            models[MAJORITY] = [majority_class(train["emotion"])] * len(table)
            rows += emotion_rows(f"{branch} emotion", table["truth"], table["speaker"], models)
    if len(rated):
        gold, predicted, zero_shot = (
            rated[[f"{name}{kind}" for name in DIMENSIONS]].to_numpy() for kind in ("", PREDICTED, ZERO_SHOT)
        )
        rows += vad_rows(gold, rated["speaker"], {"fine-tuned": predicted, "zero-shot": zero_shot})
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _draw(numbers: dict[str, pd.DataFrame], details: dict[str, Any], dpi: int) -> list[Path]:
    """Draw a figure of each table that has rows, and the training curves; return the files."""
    draw = {
        "baselines": baselines.draw,
        "confusion_audio": partial(confusion.draw, title="audio: emotion"),
        "confusion_text": partial(confusion.draw, title="text: emotion from VAD"),
        "reliability": partial(
            reliability.draw, before=numbers["reliability_before"], calibration=details["audio"].get("calibration")
        ),
        "speakers": speakers.draw,
        "tsne_audio": partial(tsne.draw, title="audio: t-SNE of the pooled embedding"),
        "tsne_vad": partial(tsne.draw, title="text: t-SNE of the predicted VAD"),
        "vad": vad.draw,
    }
    FIGURES.mkdir(parents=True, exist_ok=True)
    drawn = [name for name in draw if len(numbers[name])]
    for name in drawn:
        draw[name](numbers[name], FIGURES / f"{name}.png", dpi)
    histories = {branch: history for branch in SCORES if len(history := _history(Path("metrics") / branch))}
    if histories:
        curves.draw(histories, SCORES, FIGURES / "training.png", dpi)
        drawn.append("training")
    return [FIGURES / f"{name}.png" for name in drawn]


def _history(folder: Path) -> pd.DataFrame:
    """Return DVCLive's curves as one table, a row per epoch and a column per metric."""
    root = folder / "plots" / "metrics"
    files = {f.relative_to(root).with_suffix("").as_posix(): pd.read_csv(f, sep="\t") for f in root.rglob("*.tsv")}
    return pd.DataFrame({name: files[name].iloc[:, -1] for name in sorted(files)})


if __name__ == "__main__":
    run(main)
