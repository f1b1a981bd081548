"""What wav2vec 2.0, HuBERT, WavLM and data2vec share: a convolutional front end below the transformer.

The front end sees the clip alone: group norms and the positional convolution read padding, so that a
padded batch gives another result than the clip does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel, Wav2Vec2FeatureExtractor

from emopipe.backbones import configs as settings
from emopipe.backbones.backbone import Backbone, TrainableBlocks
from emopipe.backbones.masked import MaskedBlocks
from emopipe.io.errors import UserError
from emopipe.schemas.manifest import SAMPLE_RATE
from emopipe.weights.files import Origin, load_strictly, read_state

# What checkpoints carry beside the encoder: what pretraining needed, and heads of other tasks.
IGNORED = (
    "adapter.", "classifier.", "final_proj.", "label_embs_concat", "layer_weights", "lm_head.", "masked_spec_embed",
    "objective.", "project_hid.", "project_q.", "projector.", "quantizer.", "tdnn.",
)  # fmt: skip
# PyTorch renamed the halves of a weight norm.
RENAMED = {
    "conv.weight_g": "conv.parametrizations.weight.original0",
    "conv.weight_v": "conv.parametrizations.weight.original1",
}


class Convolutional(Backbone):
    """An encoder of raw samples behind the common interface."""

    def __init__(
        self, origin: Origin, model: PreTrainedModel, extractor: Wav2Vec2FeatureExtractor, whole: TrainableBlocks
    ) -> None:
        """Take a loaded network.

        Args:
            origin: where the weights come from
            model: with ``feature_extractor``, ``feature_projection`` and ``encoder``
            extractor: normalises the samples as the network was trained on
            whole: its blocks
        """
        self.extractor = extractor
        parts = {
            "convolutions": model.feature_extractor,
            "projection": model.feature_projection,
            "positions": model.encoder.pos_conv_embed,
            "norm": nn.Identity() if norms_last(model.config) else model.encoder.layer_norm,
        }
        super().__init__(origin, nn.ModuleDict(parts), whole, model.config.hidden_size)

    def embed(self, waveform: Tensor) -> Tensor:
        """Return the input of the first block, [floor((samples - 400) / 320) + 1, dim]."""
        samples = self.extractor(waveform.cpu().numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt").input_values
        x = self.embedding["convolutions"](samples.to(waveform.device)).transpose(1, 2)
        projected = self.embedding["projection"](x)
        x = projected[0] if isinstance(projected, tuple) else projected  # some also give what they projected
        return self.embedding["norm"](x + self.embedding["positions"](x))[0]


def norms_last(config: PretrainedConfig) -> bool:
    """Tell whether the encoder's norm stands behind the blocks ("stable layer norm") and not before them."""
    return getattr(config, "do_stable_layer_norm", False)


def load(folder: Path, network: type[PreTrainedModel]) -> tuple[PreTrainedModel, Wav2Vec2FeatureExtractor]:
    """Load a folder in Hugging Face layout: the encoder alone, or with a head of whatever kind.

    Args:
        folder: with config.json, preprocessor_config.json and the weights
        network: the encoder's class

    Raises:
        UserError: if a file is missing, or the weights do not fit
    """
    config, extractor = settings.read(folder, network.config_class, Wav2Vec2FeatureExtractor)
    if getattr(config, "add_adapter", False):
        raise UserError(f"{folder / 'config.json'}: add_adapter: an adapter behind the encoder is not supported")
    config.mask_time_prob = config.mask_feature_prob = 0.0  # no SpecAugment, and no weights for it
    model = network(config)
    load_strictly(model, _encoder_state(read_state(folder), model.base_model_prefix), str(folder))
    return model.float(), extractor


def masked(folder: Path, origin: Origin, network: type[PreTrainedModel]) -> Convolutional:
    """Load an encoder whose attention takes a mask and nothing else."""
    model, extractor = load(folder, network)
    return Convolutional(origin, model, extractor, MaskedBlocks(model.config, model.encoder.layers, final_norm(model)))


def final_norm(model: PreTrainedModel) -> nn.Module:
    """Return what stands behind the last block."""
    return model.encoder.layer_norm if norms_last(model.config) else nn.Identity()


def _encoder_state(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    own: dict[str, Tensor] = {}
    for name, tensor in state.items():
        bare = name.removeprefix(f"{prefix}.")
        for old, new in RENAMED.items():
            bare = bare.replace(old, new)
        if not bare.startswith(IGNORED):
            own[bare] = tensor
    return own
