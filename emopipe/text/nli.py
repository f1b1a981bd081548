"""Zero-shot VAD by natural language inference: which of three statements about its writer's feelings a text entails.

As in zero-shot classification (Yin et al., "Benchmarking zero-shot text classification",
EMNLP 2019). The text is the premise, and every dimension has a hypothesis for its low end, its middle and its high end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedTokenizerBase

from emopipe.io.errors import UserError
from emopipe.io.paths import is_path, local_folder
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.text.batches import Collate, Example
from emopipe.text.encoders import TOKENIZER_FILES, longest, match, read_folder, with_present_names
from emopipe.text.parameters import Hypotheses
from emopipe.training.data import ExampleDataset, predict
from emopipe.weights.files import Origin, load_strictly, read_state, sha256, weight_files
from emopipe.weights.hub import snapshot

if TYPE_CHECKING:  # its module imports accelerate, and with it all that a training logs to
    from transformers import PreTrainedModel

KEY = "evaluate.nli"
RATINGS = np.array([1.0, 3.0, 5.0])  # of the low, middle and high hypothesis
BATCH = 32  # pairs; no prediction depends on it
LEFT_OVER = (".pooler.dense.weight", ".pooler.dense.bias", ".position_ids", ".version")  # of how they were trained


class Entailment(NamedTuple):
    """A model that tells whether a hypothesis follows from a premise."""

    network: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    label: int  # the output that says so
    origin: Origin


def load(name: str) -> Entailment:
    """Load the model that ``evaluate.nli`` names: a hub id, or a local folder.

    Raises:
        UserError: if it cannot be had, has no label for entailment, or its weights do not fit
    """
    local = is_path(name)
    folder = local_folder(name, KEY) if local else snapshot(name, TOKENIZER_FILES, KEY)
    config, tokenizer = read_folder(folder)
    labels = {number: str(label) for number, label in config.id2label.items()}
    found = [number for number, label in labels.items() if label.lower().startswith("entail")]
    if len(found) != 1:
        raise UserError(
            f"{KEY}: {folder / 'config.json'}: id2label says {', '.join(labels.values())}, and not which of them is "
            "entailment; choose a model trained on MNLI"
        )
    try:
        network = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
    except ValueError:
        raise UserError(f"{KEY}: {folder}: {config.model_type} is not a model that classifies texts") from None
    network.tie_weights()
    load_strictly(network, _whole_state(read_state(folder), network.state_dict()), str(folder))
    match(tokenizer, network)
    revision, licence = ("", "see the folder") if local else (folder.name, "see the hub")
    origin = Origin(name, config.model_type, revision, sha256(weight_files(folder)), licence)
    return Entailment(network, tokenizer, found[0], origin)


def _whole_state(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a checkpoint with those added that it holds under another name (tied embeddings)."""
    whole = {
        name: tensor
        for name, tensor in with_present_names(state).items()
        if name in expected or not name.endswith(LEFT_OVER)
    }
    places = {tensor.data_ptr(): name for name, tensor in expected.items() if name in whole}
    same = {name: places.get(tensor.data_ptr()) for name, tensor in expected.items() if name not in whole}
    return whole | {name: whole[other] for name, other in same.items() if other is not None}


class _Entailed(nn.Module):
    """How surely a pair's hypothesis follows from its premise, before any softmax."""

    def __init__(self, network: PreTrainedModel, label: int) -> None:
        super().__init__()
        self.network = network
        self.label = label

    def forward(self, **tokens: Tensor) -> Tensor:
        """Return [batch]."""
        return self.network(**tokens).logits[:, self.label]


def ratings(texts: Sequence[str], model: Entailment, hypotheses: Hypotheses, device: torch.device) -> np.ndarray:
    """Return zero-shot valence, arousal and dominance.

    With e the entailment logits of a dimension's three hypotheses, p = softmax([e_low, e_middle, e_high]), and the
    prediction is 1·p_low + 3·p_middle + 5·p_high.

    Args:
        texts: one per row; of one that is too long for the model the end is not read
        model: trained on MNLI
        hypotheses: three per dimension
        device: where to read

    Returns:
        [texts, 3], within 1..5
    """
    levels = (level for name in DIMENSIONS for level in getattr(hypotheses, name).model_dump().values())
    logits = np.stack([_logits(texts, hypothesis, model, device) for hypothesis in levels], axis=1)
    return softmax(logits.reshape(len(texts), len(DIMENSIONS), len(RATINGS)).astype(np.float64), axis=2) @ RATINGS


def _logits(texts: Sequence[str], hypothesis: str, model: Entailment, device: torch.device) -> np.ndarray:
    limit = longest(model.tokenizer, model.network)
    encoded = model.tokenizer(list(texts), [hypothesis] * len(texts), truncation="only_first", max_length=limit)
    examples = [Example({name: values[i] for name, values in encoded.items()}, None) for i in range(len(texts))]
    pairs = ExampleDataset(examples, [len(example.tokens["input_ids"]) for example in examples])
    return predict(_Entailed(model.network, model.label), pairs, Collate(model.tokenizer), BATCH, device)
