"""All figures of a run: the table behind each, and the pictures."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from emopipe.figures import baselines, confusion, curves, reliability, risk_coverage, robustness, speakers, tsne, vad
from emopipe.results.reading import Results
from emopipe.results.robustness import table
from emopipe.results.scores import headline
from emopipe.schemas.manifest import DIMENSIONS


def tables(results: Results) -> dict[str, pd.DataFrame]:
    """Return the table behind each figure, without rows where there is nothing to draw; the curves are DVCLive's."""
    statistics = results.statistics
    emotions = {branch: results.trained("emotion", branch) for branch in ("audio", "forest")}
    calibrated = statistics["audio"].get("emotion", {})
    groups = {branch: statistics[branch].get("emotion", {}).get("groups", {}) for branch in emotions}
    embedding = results.embedding.merge(_emotions(results.splits["audio"]), on="utterance")
    ratings = results.vad[(results.vad["branch"] == "text") & (results.vad["model"] == "trained")]
    predicted = ratings.pivot(index="utterance", columns="dimension", values="prediction").reset_index()
    predicted = _emotions(results.splits["text"]).merge(predicted, on="utterance")
    histograms = {branch: vad.histogram(results.vad[results.vad["branch"] == branch]) for branch in ("audio", "text")}
    return {
        "baselines": headline(statistics),
        **{f"confusion_{branch}": own[["truth", "prediction"]] for branch, own in emotions.items()},
        "reliability": pd.DataFrame(calibrated.get("reliability", []), columns=reliability.COLUMNS),
        "reliability_before": pd.DataFrame(calibrated.get("reliability_before", []), columns=reliability.COLUMNS),
        "risk_coverage": pd.DataFrame(calibrated.get("selection", {}).get("curve", []), columns=risk_coverage.COLUMNS),
        "robustness": table(results.robustness),
        "speakers": speakers.table({branch: own["speaker"]["values"] for branch, own in groups.items() if own}),
        "tsne_audio": tsne.embed(embedding, embedding.drop(columns=["utterance", "emotion"]).to_numpy()),
        "tsne_vad": tsne.embed(predicted, predicted.reindex(columns=list(DIMENSIONS)).to_numpy()),
        **{f"vad_{branch}": table for branch, table in histograms.items()},
    }


def _emotions(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.loc[rows["emotion"] != "", ["utterance", "emotion"]]


def draw(numbers: dict[str, pd.DataFrame], results: Results, folder: Path, dpi: int) -> list[Path]:
    """Draw a figure of each table that has rows, and the training curves.

    Args:
        numbers: of :func:`tables`
        results: for the training curves, and what the calibration was
        folder: for the PNG files
        dpi: dots per inch

    Returns:
        the files
    """
    confidence = results.statistics["audio"].get("emotion", {})
    calibration, tested = confidence.get("calibration"), results.robustness
    draws = {
        "baselines": baselines.draw,
        "confusion_audio": partial(confusion.draw, title="audio: emotion"),
        "confusion_forest": partial(confusion.draw, title="forest: emotion from VAD"),
        "reliability": partial(reliability.draw, before=numbers["reliability_before"], calibration=calibration),
        "risk_coverage": partial(risk_coverage.draw, selection=confidence.get("selection")),
        "robustness": partial(robustness.draw, clean=tested.get("clean", {}).get("score"), score=tested.get("score")),
        "speakers": speakers.draw,
        "tsne_audio": partial(tsne.draw, title="audio: t-SNE of the pooled embedding"),
        "tsne_vad": partial(tsne.draw, title="text: t-SNE of the predicted VAD"),
        "vad_audio": vad.draw,
        "vad_text": vad.draw,
    }
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [name for name in draws if len(numbers[name])]
    for name in drawn:
        draws[name](numbers[name], folder / f"{name}.png", dpi)
    histories = {branch: history for branch, history in results.histories.items() if len(history)}
    if histories:
        metrics = {branch: results.models[branch]["selection_metric"] for branch in histories}
        curves.draw(histories, metrics, folder / "training.png", dpi)
        drawn.append("training")
    return [folder / f"{name}.png" for name in drawn]
