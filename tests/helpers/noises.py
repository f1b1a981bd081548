"""A small corpus of loud and soft noise, encoded by a small backbone, and small settings to train on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from emopipe.audio.parameters import Model, Scale, Train
from emopipe.backbones.loading import load
from emopipe.encoding import store
from emopipe.parameters import Runtime
from helpers.clips import clip
from helpers.paths import ROOT

LABELS = ["high", "low"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
RUNTIME = Runtime(**(PARAMS["runtime"] | {"device": "cpu", "threads": 1, "workers": 1}))
SCALE = Scale(lower=0.01, upper=0.1)


def model_settings(backbone: object = "x", **changes: object) -> Model:
    values = {
        "backbone": str(backbone), "trainable_layers": 2, "features": "both", "layer_pooling": "concat",
        "pooling": "attentive_statistics", "head": "norm_mlp", "hidden": 8, "head_layers": 1, "dropout": 0.1,
        "ensemble_size": 1,
    }  # fmt: skip
    return Model(**(PARAMS["model"] | values | changes))


def train_settings(**changes: object) -> Train:
    values = {
        "epochs": 12, "batch_size": 4, "learning_rate": 0.02, "weight_decay": 0.01, "warmup": 0.1,
        "schedule": "cosine", "max_grad_norm": 1.0, "patience": None, "seed": 1, "lr_scale": SCALE,
        "class_weights": "balanced",
    }  # fmt: skip
    return Train(**(PARAMS["train"] | values | changes))


def encoded(folder: Path, where: Path) -> tuple[store.Store, pd.DataFrame]:
    """Return a store and its split."""
    backbone = load(str(folder))
    rows = [
        {"utterance": f"c/u{i}", "corpus": "c", "speaker": f"c/s{i % 6}", "emotion": LABELS[i % 2],
         "split": ["train", "train", "dev", "test"][(i // 2) % 4],
         "valence": [1.5, 3.5][i % 2], "arousal": [4.5, 2.0][i % 2], "dominance": np.nan}
        for i in range(48)
    ]  # fmt: skip

    def encodings():
        for i, row in enumerate(rows):
            noise = clip(4_000 + 700 * (i % 9), i)
            waveform = noise.cumsum(0) * 0.05 if row["emotion"] == "low" else noise
            frames, statistics = backbone.encode([waveform], 2)[0]
            yield store.StoredEncoding(row["utterance"], store.ORIGINAL, frames.numpy(), statistics.numpy())

    blocks = backbone.block_count
    provenance = {
        "backbone": backbone.origin.provenance(), "blocks": blocks, "trainable_layers": 2, "dim": backbone.dim,
    }  # fmt: skip
    store.write(where / "encoded", encodings(), backbone.dim, blocks + 1, provenance)
    return store.Store(where / "encoded"), pd.DataFrame(rows)
