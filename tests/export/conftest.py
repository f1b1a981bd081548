"""Audio models of random weights on small backbones, trained nowhere, and what they answer."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from emopipe.audio.layers import layer_pooling
from emopipe.audio.model import AudioModel, Trained, TunedModel, of_members
from emopipe.audio.tasks import Classification, Regression
from emopipe.backbones.loading import load
from emopipe.encoding.encoder import Encoder
from emopipe.encoding.parameters import Encode
from emopipe.recognition.speech import Recognizer
from emopipe.training.networks import Ensemble, TargetScaler
from helpers.clips import clip
from helpers.noises import PARAMS, model_settings, train_settings

LABELS = ["anger", "neutral", "sadness"]
TARGETS = ["arousal", "valence"]


@pytest.fixture(scope="session")
def untrained(folders):
    """Return a function from a family, and changes of the parameters, to a recogniser of random weights."""

    def recognizer(family: str, network: dict | None = None, encode: dict | None = None, **changes) -> Recognizer:
        path = folders(family, **(network or {}))
        settings = model_settings(path, **{"trainable_layers": 2, "ensemble_size": 2} | changes)
        how = Encode(**PARAMS["encode"] | {"max_seconds": 0.9} | (encode or {}))
        backbone = load(str(path)).cut(settings.output_layer)
        trainable = backbone.resolve_trainable(settings.trainable_layers)
        encoder = Encoder(backbone, trainable, how, torch.device("cpu"))
        rated = settings.task == "regression"
        task = Regression(TARGETS, TargetScaler([2.5, 3.5], [0.7, 1.1])) if rated else Classification(LABELS)
        torch.manual_seed(1)
        model = _model(settings, encoder, task.outputs)
        temperature = None if rated else 0.4
        trained = Trained(model, settings, train_settings().model_dump(), task, encoder.provenance, temperature, [1])
        return Recognizer(trained, encoder, Path())

    return recognizer


@pytest.fixture(scope="session")
def answer():
    """Return a function from a recogniser and samples at 16 kHz to what it answers, [1, outputs]."""

    def answered(recognizer: Recognizer, samples: np.ndarray) -> np.ndarray:
        (found,) = recognizer.outputs(recognizer.encoder.encode([samples]))
        rated = isinstance(recognizer.trained.task, Regression)
        return np.array([[found[name] for name in (TARGETS if rated else [f"p_{label}" for label in LABELS])]])

    return answered


def _model(settings, encoder: Encoder, outputs: int) -> Ensemble | TunedModel:
    backbone, own = encoder.backbone, of_members(settings)
    layers = layer_pooling(own, backbone.block_count + 1, backbone.dim)
    if layers is not None:
        clips = (clip(length, seed).numpy() for seed, length in enumerate((400, 719, 2_000, 9_000, 14_400) * 4))
        layers.fit([np.stack([encoding.statistics.numpy() for encoding in encoder(clips)])])
    frozen = settings.features == "frozen"
    blocks = None if frozen else deepcopy(backbone).trainable_blocks(encoder.trainable)
    tuned = settings.features == "tuned_layers"
    members = [
        AudioModel(own, None if tuned else deepcopy(blocks), deepcopy(layers), backbone.dim, outputs)
        for _ in range(settings.ensemble_size)
    ]
    model = TunedModel(blocks, Ensemble(members)) if tuned else Ensemble(members)
    with torch.no_grad():  # the members differ, and no block is as it was pretrained
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return model.eval()


class Line(torch.nn.Module):
    """The smallest network there is to be exported: what it is given it gives back."""

    exact, output, sizes = (), "y", {"x": {0: torch.export.Dim("rows")}}

    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(64, 64)
        torch.nn.init.eye_(self.line.weight)
        torch.nn.init.zeros_(self.line.bias)

    def forward(self, x):
        return self.line(x)

    def example(self):
        return {"x": torch.ones(3, 64)}

    def lowest(self):
        return []


@pytest.fixture(scope="module")
def line():
    return Line().eval()
