"""wav2vec 2.0, HuBERT and data2vec, and what WavLM shares with them: a convolutional front end below the transformer.

Baevski et al., "wav2vec 2.0: A Framework for Self-Supervised Learning of Speech Representations", NeurIPS 2020.
Hsu et al., "HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction of Hidden Units", 2021,
arXiv:2106.07447.
Baevski et al., "data2vec: A General Framework for Self-supervised Learning in Speech, Vision and Language", ICML 2022.

The front end sees the clip alone: group norms and the positional convolution read padding, so that a
padded batch gives another result than the clip does.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from emopipe.backbones import configs
from emopipe.backbones.backbone import Backbone, MaskedBlocks, TrainableBlocks
from emopipe.backbones.family import HUGGING_FACE, Family, Published
from emopipe.io.errors import UserError
from emopipe.schemas.manifest import SAMPLE_RATE
from emopipe.weights.files import Origin, load_strictly, read_state

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, Wav2Vec2FeatureExtractor

# What checkpoints carry beside the encoder: what pretraining needed, and heads of other tasks.
IGNORED = (
    "adapter.", "classifier.", "final_proj.", "label_embs_concat", "layer_weights", "lm_head.", "masked_spec_embed",
    "objective.", "project_hid.", "project_q.", "projector.", "quantizer.", "tdnn.",
)  # fmt: skip
LINEAR_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj", "intermediate_dense", "output_dense")
# PyTorch renamed the halves of a weight norm.
RENAMED = {
    "conv.weight_g": "conv.parametrizations.weight.original0",
    "conv.weight_v": "conv.parametrizations.weight.original1",
}


class Convolutional(Backbone):
    """An encoder of raw samples behind the common interface."""

    def __init__(
        self, origin: Origin, model: PreTrainedModel, extractor: Wav2Vec2FeatureExtractor, blocks: TrainableBlocks
    ) -> None:
        """Take a loaded network.

        Args:
            origin: where the weights come from
            model: with ``feature_extractor``, ``feature_projection`` and ``encoder``
            extractor: normalises the samples as the network was trained on
            blocks: all its blocks
        """
        parts = {
            "convolutions": model.feature_extractor,
            "projection": model.feature_projection,
            "positions": model.encoder.pos_conv_embed,
            "norm": nn.Identity() if norms_last(model.config) else model.encoder.layer_norm,
        }
        super().__init__(origin, nn.ModuleDict(parts), blocks, model.config.hidden_size)
        self.config = model.config
        self.extractor = extractor

    def front_end(self, waveform: Tensor) -> Tensor:
        """Return the input of the first block, [floor((samples - 400) / 320) + 1, dim]."""
        samples = self.extractor(waveform.cpu().numpy(), sampling_rate=SAMPLE_RATE, return_tensors="pt").input_values
        x = self.front["convolutions"](samples.to(waveform.device)).transpose(1, 2)
        projected = self.front["projection"](x)
        x = projected[0] if isinstance(projected, tuple) else projected  # some also give what they projected
        return self.front["norm"](x + self.front["positions"](x))[0]


def norms_last(config: PretrainedConfig) -> bool:
    """Tell whether the encoder's norm stands behind the blocks ("stable layer norm") and not before them."""
    return getattr(config, "do_stable_layer_norm", False)


def load(folder: Path, network: str) -> tuple[PreTrainedModel, Wav2Vec2FeatureExtractor]:
    """Load a folder in Hugging Face layout: the encoder alone, or with a head of any kind.

    Args:
        folder: with config.json, preprocessor_config.json and the weights
        network: name of the encoder's class in transformers

    Raises:
        UserError: if a file is missing, or the weights do not fit
    """
    import transformers  # which loads a network's code when its class is first named

    encoder = getattr(transformers, network)
    config, extractor = configs.read(folder, encoder.config_class, transformers.Wav2Vec2FeatureExtractor)
    if getattr(config, "add_adapter", False):
        raise UserError(f"{folder / 'config.json'}: add_adapter: an adapter behind the encoder is not supported")
    config.mask_time_prob = config.mask_feature_prob = 0.0  # no SpecAugment, and no weights for it
    model = encoder(config)
    load_strictly(model, _encoder_state(read_state(folder), model.base_model_prefix), str(folder))
    return model.float(), extractor


def load_masked(folder: Path, origin: Origin, network: str) -> Convolutional:
    """Load a folder with an encoder whose attention takes a mask and nothing else."""
    model, extractor = load(folder, network)
    blocks = MaskedBlocks(model.config, model.encoder.layers, final_norm(model))
    return Convolutional(origin, model, extractor, blocks)


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


WAV2VEC2 = Family(
    "wav2vec2",
    published={
        "wav2vec2_base": Published("facebook/wav2vec2-base", "Apache-2.0"),
        "wav2vec2_base_960h": Published("facebook/wav2vec2-base-960h", "Apache-2.0"),
        "wav2vec2_large_robust": Published("facebook/wav2vec2-large-robust-ft-swbd-300h", "Apache-2.0"),
    },
    layout=HUGGING_FACE,
    load=partial(load_masked, network="Wav2Vec2Model"),
    linear_layers=LINEAR_LAYERS,
)
HUBERT = Family(
    "hubert",
    published={
        "hubert_base": Published("facebook/hubert-base-ls960", "Apache-2.0"),
        "hubert_large": Published("facebook/hubert-large-ll60k", "Apache-2.0"),
    },
    layout=HUGGING_FACE,
    load=partial(load_masked, network="HubertModel"),
    linear_layers=LINEAR_LAYERS,
)
DATA2VEC = Family(
    "data2vec-audio",
    published={
        "data2vec_base": Published("facebook/data2vec-audio-base", "Apache-2.0"),
        "data2vec_large": Published("facebook/data2vec-audio-large", "Apache-2.0"),
    },
    layout=HUGGING_FACE,
    load=partial(load_masked, network="Data2VecAudioModel"),
    linear_layers=LINEAR_LAYERS,
)
