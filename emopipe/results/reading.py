"""What the trainings and the evaluation left on disk: everything that figures, report and model card show."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from emopipe.io.errors import UserError
from emopipe.schemas import notices, predictions, splits, tables
from emopipe.schemas.manifest import Rejection
from emopipe.trust import tables as trust

REJECTED = Path("data/audio/rejected.csv")
ROBUSTNESS = Path("metrics/robustness.json")
EXPORT = Path("metrics/export.json")


@dataclass(frozen=True)
class Results:
    """The results of one run of the pipeline; the tables of a branch that is switched off are empty."""

    emotion: pd.DataFrame  # a row per test utterance, branch and model
    vad: pd.DataFrame  # a row per test utterance, branch, model and dimension
    embedding: pd.DataFrame  # principal components of what the audio model's head is given
    robustness: dict[str, Any]  # of the audio model under conditions; empty where none was tested
    export: dict[str, Any]  # how the audio model's ONNX file compares with it; empty where there is none
    shortcuts: pd.DataFrame  # how far each gets on the audio test set
    associations: pd.DataFrame  # how strongly each goes with what is predicted
    fairness: pd.DataFrame  # a row per published test of correctness or fairness
    statistics: dict[str, Any]  # by branch and target: intervals, tests, groups, ...
    splits: dict[str, pd.DataFrame]  # of audio and text
    leaks: dict[str, pd.DataFrame]
    rejected: pd.DataFrame  # recordings that could not be used
    notices: pd.DataFrame  # what else was left out, or used in another way, by stage
    models: dict[str, dict[str, Any] | None]  # config.json of audio and text; None where none was trained
    histories: dict[str, pd.DataFrame]  # a row per epoch of the audio and text training, a column per curve

    @classmethod
    def read(cls) -> Results:
        """Read the outputs of the stages before ``plot``.

        Raises:
            UserError: naming a file that is absent or not what it should be
        """
        rows = {"audio": splits.read_audio(), "text": splits.read_text()}
        models = {branch: _read_model(branch) for branch in rows}
        leaks = {"audio": splits.AUDIO_LEAKS, "text": splits.TEXT_LEAKS}
        return cls(
            emotion=predictions.read_emotion(predictions.EMOTION),
            vad=predictions.read_vad(predictions.VAD),
            embedding=predictions.read_embedding(),
            robustness=_read_json(ROBUSTNESS, "robustness"),
            export=_read_json(EXPORT, "export"),
            shortcuts=trust.read(trust.SHORTCUTS, "shortcuts"),
            associations=trust.read(trust.ASSOCIATIONS, "shortcuts"),
            fairness=trust.read(trust.FAIRNESS, "fairness"),
            statistics=_read_json(predictions.STATISTICS, "evaluate"),
            splits=rows,
            leaks={branch: tables.read(path, splits.Leak) for branch, path in leaks.items()},
            rejected=tables.read(REJECTED, Rejection),
            notices=notices.read(),
            models=models,
            histories={branch: _history(branch) if models[branch] else pd.DataFrame() for branch in rows},
        )

    def trained(self, target: str, branch: str) -> pd.DataFrame:
        """Return the test predictions of a trained model whose truth is known.

        Args:
            target: emotion or vad
            branch: audio, text or forest
        """
        table = self.emotion if target == "emotion" else self.vad
        known = table["truth"] != "" if target == "emotion" else table["truth"].notna()
        return table[known & (table["branch"] == branch) & (table["model"] == "trained")]


def _read_model(branch: str) -> dict[str, Any] | None:
    config = _read_json(Path(f"models/{branch}/config.json"), f"finetune_{branch}")
    return config if "epochs" in config else None


def _read_json(path: Path, stage: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run `dvc repro {stage}`") from None


def _history(branch: str) -> pd.DataFrame:
    """Return DVCLive's curves as one table, a row per epoch and a column per metric, such as ``dev/loss``."""
    root = Path("metrics") / branch / "plots" / "metrics"
    files = {f.relative_to(root).with_suffix("").as_posix(): pd.read_csv(f, sep="\t") for f in root.rglob("*.tsv")}
    return pd.DataFrame({name: files[name].iloc[:, -1] for name in sorted(files)})
