"""Predictions of the test set from audio, by the trained model and the zero-shot baseline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from torch import nn

from emopipe.audio.model import Trained, TunedModel
from emopipe.audio.prediction import predict
from emopipe.audio.tasks import Classification, Regression
from emopipe.audio.zero_shot import zero_shot
from emopipe.encoding.store import Store
from emopipe.schemas.predictions import TRAINED, EmotionPrediction, VadPrediction, emotion_table, vad_table
from emopipe.training.networks import Ensemble

EMBEDDED, COMPONENTS = 1000, 50  # utterances and components of the embedding that are kept, for a picture


class Predicted(NamedTuple):
    """What is predicted of the test set; of emotions and dimensions one is empty."""

    emotion: pd.DataFrame  # rows of the table of emotions
    vad: pd.DataFrame  # rows of the table of dimensions
    embedding: pd.DataFrame  # utterance, component_1, component_2, ...


def predict_test_set(
    trained: Trained | None, rows: pd.DataFrame, store: Store, calibrated: bool, device: torch.device
) -> Predicted:
    """Predict the test set by the trained model and, where the backbone brings a classifier, by that (zero-shot).

    Args:
        trained: the model; None where the audio branch has no utterances
        rows: the audio branch's split
        store: of the utterances' encodings
        calibrated: calibrate the probabilities of a classification by the temperature fitted on the dev set
        device: where to predict
    """
    emotion, vad = (pd.DataFrame(columns=list(row.model_fields)) for row in (EmotionPrediction, VadPrediction))
    if trained is None:
        return Predicted(emotion, vad, pd.DataFrame(columns=["utterance"]))
    test = rows[rows["split"] == "test"]
    outputs = predict(trained.model, trained.settings, test["utterance"], store, device)
    match trained.task:
        case Regression(names=names, scale=scale):
            vad = vad_table(test, "audio", TRAINED, scale.inverse_transform(outputs), names)
        case Classification(names=labels):
            models = {TRAINED: softmax(outputs / (trained.temperature if calibrated else 1.0), axis=1)}
            untrained = zero_shot(store, test["utterance"], labels)
            models |= {} if untrained is None else {"zero_shot": untrained}
            emotion = pd.concat([_emotions(test, model, chances, labels) for model, chances in models.items()])
    return Predicted(emotion, vad, _embedding(trained, test, store, device))


def _emotions(rows: pd.DataFrame, model: str, probabilities: np.ndarray, labels: Sequence[str]) -> pd.DataFrame:
    predicted = np.asarray(labels, dtype=object)[probabilities.argmax(1)]
    return emotion_table(rows, "audio", model, predicted, probabilities, labels)


class _Embedding(nn.Module):
    def __init__(self, model: Ensemble | TunedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, **batch: torch.Tensor) -> torch.Tensor:
        return self.model.mean_embedding(**batch)


def _embedding(trained: Trained, rows: pd.DataFrame, store: Store, device: torch.device) -> pd.DataFrame:
    """Return the principal components of the inputs of the head, of utterances evenly chosen."""
    some = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), EMBEDDED)).round().astype(int))]
    vectors = predict(_Embedding(trained.model), trained.settings, some["utterance"], store, device)
    left, singular, _ = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    components = (left * singular)[:, :COMPONENTS]
    table = pd.DataFrame(components, columns=[f"component_{i + 1}" for i in range(components.shape[1])])
    table.insert(0, "utterance", some["utterance"].to_numpy())
    return table
