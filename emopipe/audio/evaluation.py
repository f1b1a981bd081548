"""What the audio model says of the test set, and how right it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from torch import nn

from emopipe.audio import classes, ratings
from emopipe.audio.prediction import predict
from emopipe.audio.saving import Trained
from emopipe.audio.tasks import Classification, Regression
from emopipe.audio.zero_shot import zero_shot
from emopipe.encoding.store import Store
from emopipe.schemas.predictions import AUDIO_COLUMNS, Evaluation
from emopipe.training.network import Ensemble

EMBEDDED, COMPONENTS = 1000, 50  # utterances and components of the embedding that are kept, for a picture


def evaluate(
    trained: Trained | None, rows: pd.DataFrame, store: Store, temperature: bool, device: torch.device
) -> Evaluation:
    """Score the test set.

    Args:
        trained: the model; None where the audio branch has no utterances
        rows: the audio branch's split
        store: what the frozen part of the backbone said of them
        temperature: calibrate the probabilities of a classification by a temperature fitted on the dev set
        device: where to predict
    """
    train, test = (rows[rows["split"] == name] for name in ("train", "test"))
    if trained is None:
        return Evaluation({"utterances": 0}, {}, test.reindex(columns=list(AUDIO_COLUMNS)), rows[["utterance"]][:0])
    outputs = predict(trained.model, trained.settings, test["utterance"], store, device)
    match trained.task:
        case Regression(names=names, scale=scale):
            found = ratings.evaluate(train[names].to_numpy(), test, scale.inverse_transform(outputs), names)
        case Classification(labels=labels):
            divisor = trained.temperature if temperature else None
            said = zero_shot(store, test["utterance"], labels)
            found = classes.evaluate(train["emotion"], test, outputs, divisor, said, labels)
    return found._replace(embedding=_embedding(trained, test, store, device))


class _Embedding(nn.Module):
    def __init__(self, model: Ensemble) -> None:
        super().__init__()
        self.model = model

    def forward(self, **batch: torch.Tensor) -> torch.Tensor:
        return self.model.embed(**batch)


def _embedding(trained: Trained, rows: pd.DataFrame, store: Store, device: torch.device) -> pd.DataFrame:
    some = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), EMBEDDED)).round().astype(int))]
    vectors = predict(_Embedding(trained.model), trained.settings, some["utterance"], store, device)
    components = PCA(min(COMPONENTS, *vectors.shape), svd_solver="full").fit_transform(vectors)
    table = pd.DataFrame(components, columns=[f"component_{i + 1}" for i in range(components.shape[1])])
    table.insert(0, "utterance", some["utterance"].to_numpy())
    return table
