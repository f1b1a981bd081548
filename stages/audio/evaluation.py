"""What the audio model says of the test set, and how right it is."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from scipy.special import softmax

from stages.audio.batches import Collate, items
from stages.audio.saving import Trained
from stages.audio.store import Store
from stages.audio.zero_shot import zero_shot
from stages.contracts.predictions import AUDIO_COLUMNS, audio_table
from stages.scoring.baselines import majority_accuracy
from stages.scoring.classification import classification, recalls
from stages.training.fitting import predict

BATCH = 32  # utterances; no prediction depends on it


def evaluate(
    trained: Trained | None, rows: pd.DataFrame, store: Store, device: torch.device
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Return the scores of the test set, and the table of its predictions.

    Args:
        trained: the model; None where the audio branch has no utterances
        rows: the audio branch's split
        store: what the frozen part of the backbone said of them
        device: where to predict
    """
    train, test = rows[rows["split"] == "train"], rows[rows["split"] == "test"]
    if trained is None:
        return {"utterances": 0}, test.reindex(columns=list(AUDIO_COLUMNS))
    examples = items(test, trained.labels, store)
    outputs = predict(trained.model, examples, Collate(store, trained.settings), BATCH, device)
    probabilities = softmax(outputs.astype("float64"), axis=1)
    said = zero_shot(store, test["utterance"], trained.labels)
    table = audio_table(test, probabilities, said, trained.labels)
    truth = table["truth"]
    scores = _scores(truth, table["prediction"]) | {
        "recall": recalls(truth, table["prediction"]),
        "majority_wa": majority_accuracy(train["emotion"], truth),
        "utterances": len(test),
    }
    return scores | ({} if said is None else {"zero_shot": _scores(truth, table["zero_shot"])}), table


def _scores(truth: pd.Series, prediction: pd.Series) -> dict[str, Any]:
    scores = classification(truth, prediction)
    return {"uar": scores["uar"], "wa": scores["accuracy"]} | {k: scores[k] for k in ("macro_f1", "weighted_f1")}
