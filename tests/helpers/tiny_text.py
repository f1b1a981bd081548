"""A small text encoder of random weights in the published layout, and texts for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from transformers import BertConfig, BertForMaskedLM, BertTokenizer

from emopipe.schemas import tables
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.schemas.splits import TextItem
from emopipe.text import encoders, saving
from emopipe.text.fitting import fit
from emopipe.text.parameters import Text
from emopipe.text.regressor import Regressor
from emopipe.training.fitting import Run
from emopipe.training.tracking import Tracker

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"
CPU = torch.device("cpu")
GOOD, BAD = ["wonderful", "great", "happy"], ["terrible", "awful", "sad"]
WORDS = [*GOOD, *BAD, "the", "day", "was", "a", "very", "news", "is", "here", "today", "film"]
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder with a random BERT of a whole model's checkpoint, and its tokenizer."""
    torch.manual_seed(0)
    folder = tmp_path / "tiny"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
    config = BertConfig(vocab_size=len(vocabulary), max_position_embeddings=64, **SMALL)
    BertForMaskedLM(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizer(str(folder / "vocab.txt"), model_max_length=64).save_pretrained(folder)
    return folder


def settings(encoder: Path | str, **changes: object) -> Text:
    text = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["text"]
    return Text.model_validate(
        text | {"encoder": str(encoder), "max_tokens": 32, "epochs": 2, "ensemble_size": 1} | changes
    )


def sentences(count: int, seed: int) -> pd.DataFrame:
    """Rows of a split table whose words carry the valence."""
    draw = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        good = bool(i % 2)
        words = [*draw.choice(WORDS[6:], draw.integers(1, 9)), draw.choice(GOOD if good else BAD)]
        vad = np.clip(np.array([4.2 if good else 1.8, 3.5, 2.5]) + draw.normal(0, 0.2, 3), 1, 5)
        split = ("train", "train", "train", "dev", "test")[i % 5]
        rows.append(
            {"utterance": f"own/{i}", "corpus": "own", "speaker": f"own/{i % 4}", "split": split,
             "transcript": " ".join(words), "emotion": "happiness" if good else "sadness",
             **dict(zip(DIMENSIONS, vad, strict=True))}
        )  # fmt: skip
    return tables.check(rows, TextItem, "rows")


def fitted(tiny: Path, tmp_path: Path, **changes: object) -> tuple[saving.Trained, Tracker]:
    rows, tracker = sentences(60, 1), Tracker("test")
    train, dev = rows[rows["split"] == "train"], rows[rows["split"] == "dev"]
    return fit(train, dev, settings(tiny, **changes), Run(CPU, tracker, tmp_path / "checkpoints")), tracker


def regressor(tiny: Path, **changes: object) -> tuple[Regressor, encoders.Pretrained]:
    pretrained = encoders.load(str(tiny))
    return Regressor(pretrained.encoder, settings(tiny, **changes)).eval(), pretrained
