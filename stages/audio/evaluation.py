"""What the audio model says of the test set, and how right it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from sklearn.decomposition import PCA
from torch import nn

from stages.audio.batches import Collate, items
from stages.audio.model import AudioModel
from stages.audio.saving import Trained
from stages.audio.store import Store
from stages.audio.zero_shot import zero_shot
from stages.contracts.predictions import AUDIO_COLUMNS, Evaluation, audio_table
from stages.scoring.baselines import majority_accuracy, majority_class
from stages.scoring.calibration import brier_score, expected_calibration_error, fit_temperature, reliability
from stages.scoring.classification import classification, recalls
from stages.scoring.details import classification_details, limits
from stages.training.fitting import predict

BATCH = 32  # utterances; no prediction depends on it
EMBEDDED, COMPONENTS = 1000, 50  # utterances and components of the embedding that are kept, for a picture


def evaluate(
    trained: Trained | None, rows: pd.DataFrame, store: Store, temperature: bool, device: torch.device
) -> Evaluation:
    """Score the test set.

    Args:
        trained: the model; None where the audio branch has no utterances
        rows: the audio branch's split
        store: what the frozen part of the backbone said of them
        temperature: calibrate the probabilities by a temperature fitted on the dev set
        device: where to predict
    """
    train, dev, test = (rows[rows["split"] == name] for name in ("train", "dev", "test"))
    if trained is None:
        return Evaluation({"utterances": 0}, {}, test.reindex(columns=list(AUDIO_COLUMNS)), rows[["utterance"]][:0])
    collate, labels = Collate(store, trained.settings), trained.labels
    outputs, classes = _outputs(trained, test, collate, device)
    divisor = fit_temperature(*_outputs(trained, dev, collate, device)) if temperature else None
    raw = softmax(outputs, axis=1)
    probabilities = raw if divisor is None else softmax(outputs / divisor, axis=1)
    said = zero_shot(store, test["utterance"], labels)
    table = audio_table(test, probabilities, said, labels)
    truth = table["truth"]
    baselines = {"majority": [majority_class(train["emotion"])] * len(table)}
    baselines |= {} if said is None else {"zero_shot": table["zero_shot"]}
    scores = _scores(truth, table["prediction"]) | {
        "recall": recalls(truth, table["prediction"]),
        "ece": expected_calibration_error(probabilities, classes),
        "brier": brier_score(probabilities, classes),
        "majority_wa": majority_accuracy(train["emotion"], truth),
        "utterances": len(test),
    }
    scores |= {} if said is None else {"zero_shot": _scores(truth, table["zero_shot"])}
    details = classification_details(table, baselines)
    scores["interval"] = limits(details, "uar", "wa")
    details |= {
        "calibration": {
            "temperature": divisor,
            "ece": scores["ece"],
            "brier": scores["brier"],
            "ece_before": expected_calibration_error(raw, classes),
            "brier_before": brier_score(raw, classes),
        },
        "reliability": reliability(probabilities, classes).to_dict("records"),
        "reliability_before": reliability(raw, classes).to_dict("records"),
    }
    return Evaluation(scores, details, table, _embedding(trained, test, collate, device))


def _outputs(
    trained: Trained, rows: pd.DataFrame, collate: Collate, device: torch.device
) -> tuple[np.ndarray, np.ndarray]:
    """Return scores before the softmax, and the numbers of the true classes."""
    examples = items(rows, trained.labels, collate.store)
    outputs = predict(trained.model, examples, collate, BATCH, device)
    return outputs.astype(np.float64), np.array([example.label for example in examples.examples])


class _Embedding(nn.Module):
    def __init__(self, model: AudioModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, **batch: torch.Tensor) -> torch.Tensor:
        return self.model.embed(**batch)


def _embedding(trained: Trained, rows: pd.DataFrame, collate: Collate, device: torch.device) -> pd.DataFrame:
    some = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), EMBEDDED)).round().astype(int))]
    examples = items(some, trained.labels, collate.store)
    vectors = predict(_Embedding(trained.model), examples, collate, BATCH, device)
    components = PCA(min(COMPONENTS, *vectors.shape), svd_solver="full").fit_transform(vectors)
    table = pd.DataFrame(components, columns=[f"component_{i + 1}" for i in range(components.shape[1])])
    table.insert(0, "utterance", some["utterance"].to_numpy())
    return table


def _scores(truth: pd.Series, prediction: pd.Series) -> dict[str, Any]:
    scores = classification(truth, prediction)
    return {"uar": scores["uar"], "wa": scores["accuracy"]} | {k: scores[k] for k in ("macro_f1", "weighted_f1")}
