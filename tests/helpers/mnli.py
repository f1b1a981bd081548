"""Small classifiers of pairs of texts, of random weights, in the layouts in which MNLI models are published."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from transformers import (
    AutoModelForSequenceClassification,
    BartConfig,
    BertConfig,
    BertTokenizer,
    DebertaV2Config,
    DistilBertConfig,
    PretrainedConfig,
    RobertaConfig,
)

from emopipe.text.parameters import Hypotheses
from helpers.tiny_text import PARAMS, SMALL, WORDS

LEVELS = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["evaluate"]["hypotheses"]
HYPOTHESES = Hypotheses.model_validate(LEVELS)
HYPOTHESIS_WORDS = {
    word for levels in LEVELS.values() for text in levels.values() for word in re.findall(r"\w+|\.", text.lower())
}
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({*WORDS, *HYPOTHESIS_WORDS})]
LIMIT = 24  # tokens
COMMON = {"vocab_size": len(VOCABULARY), "pad_token_id": 0}
FAMILIES: dict[str, Callable[[], PretrainedConfig]] = {
    "bert": lambda: BertConfig(**COMMON, **SMALL, max_position_embeddings=LIMIT),
    "roberta": lambda: RobertaConfig(**COMMON, **SMALL, max_position_embeddings=LIMIT + 1, type_vocab_size=1),
    "deberta": lambda: DebertaV2Config(
        **COMMON, **SMALL, type_vocab_size=0, relative_attention=True, pos_att_type=["p2c"], max_position_embeddings=64
    ),
    "distilbert": lambda: DistilBertConfig(**COMMON, dim=16, n_layers=2, n_heads=2, hidden_dim=32),
    "bart": lambda: BartConfig(
        **COMMON, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=64,
        bos_token_id=2, eos_token_id=3, decoder_start_token_id=3, forced_eos_token_id=None,
    ),
}  # fmt: skip
MNLI = ("contradiction", "neutral", "entailment")
TEXTS = ["great news today", "a very sad day", "the film " * 40 + "was awful", "happy"]


def written(
    folder: Path, family: str = "roberta", labels: tuple[str, ...] = MNLI, model_max_length: int = LIMIT
) -> Path:
    """Write a classifier of random weights that are large enough for it to have opinions."""
    config = FAMILIES[family]()
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    torch.manual_seed(3)
    network = AutoModelForSequenceClassification.from_config(config)
    for parameter in network.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    network.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY), encoding="utf-8")
    BertTokenizer(str(folder / "vocab.txt"), model_max_length=model_max_length).save_pretrained(folder)
    return folder
