"""What the audio model says of the test set, and how right it is."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from scipy.special import softmax

from stages.audio.batches import Collate, items
from stages.audio.saving import Trained
from stages.audio.store import Store
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
    table = audio_table(test, softmax(outputs.astype("float64"), axis=1), trained.labels)
    scores = classification(table["truth"], table["prediction"])
    return {
        "uar": scores["uar"],
        "wa": scores["accuracy"],
        "macro_f1": scores["macro_f1"],
        "weighted_f1": scores["weighted_f1"],
        "recall": recalls(table["truth"], table["prediction"]),
        "majority_wa": majority_accuracy(train["emotion"], table["truth"]),
        "utterances": len(test),
    }, table
