"""Networks of random weights, in the layout each family is published in: for benchmarks and tests.

``write(family, folder)`` writes the published architecture at its smallest published size ("base", of
Whisper "tiny"); ``write(family, folder, small=True)`` the same architecture with narrow layers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import (
    Data2VecAudioConfig,
    Data2VecAudioModel,
    HubertConfig,
    HubertModel,
    PreTrainedModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

CONVOLUTIONAL = {
    "wav2vec2": (Wav2Vec2Config, Wav2Vec2Model),
    "hubert": (HubertConfig, HubertModel),
    "wavlm": (WavLMConfig, WavLMModel),
    "data2vec-audio": (Data2VecAudioConfig, Data2VecAudioModel),
}
FAMILIES = ("whisper", *CONVOLUTIONAL, "emotion2vec")

# The wide initialisation makes the output of a small network depend on its input.
SMALL = {
    "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 64, "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, "initializer_range": 0.2, "vocab_size": 40,
}  # fmt: skip
SMALL_WHISPER = {
    "d_model": 32, "encoder_layers": 3, "encoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_layers": 1,
    "decoder_attention_heads": 4, "decoder_ffn_dim": 64, "vocab_size": 60, "max_source_positions": 50, "init_std": 0.2,
}  # fmt: skip
TINY_WHISPER = {
    "d_model": 384, "encoder_layers": 4, "encoder_attention_heads": 6, "encoder_ffn_dim": 1536, "decoder_layers": 1,
    "decoder_attention_heads": 6, "decoder_ffn_dim": 64, "vocab_size": 60,
}  # fmt: skip
LARGE_LAYOUT = {"do_stable_layer_norm": True, "feat_extract_norm": "layer", "conv_bias": True}
TOKENS = ("生气/angry", "厌恶/disgusted", "恐惧/fearful", "开心/happy", "中立/neutral", "其他/other", "难过/sad",
          "吃惊/surprised", "<unk>")  # fmt: skip


def write(family: str, folder: Path, small: bool = False, **changes: Any) -> Path:
    """Write a network of random weights.

    Args:
        family: one of ``FAMILIES``
        folder: made when absent
        small: narrow layers
        changes: of the configuration

    Returns:
        the folder
    """
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    if family == "emotion2vec":
        _emotion2vec(folder, **({"dim": 32, "heads": 4} if small else {}), **changes)
    elif family == "whisper":
        sizes = (SMALL_WHISPER if small else TINY_WHISPER) | {
            "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3,
            "begin_suppress_tokens": None,
        }  # fmt: skip
        WhisperForConditionalGeneration(WhisperConfig(**(sizes | changes))).save_pretrained(folder)
        WhisperFeatureExtractor().save_pretrained(folder)
    else:
        config, network = CONVOLUTIONAL[family]
        settings = (SMALL if small else {}) | changes
        model: PreTrainedModel = network(config(**settings))
        model.save_pretrained(folder)
        normalise = settings.get("feat_extract_norm") == "layer"  # as the large models were trained
        Wav2Vec2FeatureExtractor(do_normalize=normalise).save_pretrained(folder)
    return folder


def _emotion2vec(folder: Path, dim: int = 768, heads: int = 12, tokens: tuple[str, ...] = TOKENS, **audio: Any) -> None:
    """Write FunASR's layout: configuration.json, config.yaml, model.pt, tokens.txt."""
    from funasr.models.emotion2vec.model import Emotion2vec

    config = _emotion2vec_config(dim, heads, audio)
    network = Emotion2vec(model_conf=config["model_conf"], vocab_size=len(tokens))
    encoder = network.modality_encoders["AUDIO"]
    with torch.no_grad():  # as after training: no two heads alike
        encoder.alibi_scale.uniform_(0.1, 1.5)
        encoder.extra_tokens.normal_()
    # The published checkpoints leave out the decoder of pretraining, which their configuration describes.
    state = {name: value for name, value in network.state_dict().items() if ".decoder." not in name}
    torch.save({"model": state}, folder / "model.pt")
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (folder / "tokens.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    (folder / "configuration.json").write_text(
        '{"framework": "pytorch", "task": "emotion-recognition", "model": {"type": "funasr"}, "file_path_metas": '
        '{"init_param": "model.pt", "tokenizer_conf": {"token_list": "tokens.txt"}, "config": "config.yaml"}}\n',
        encoding="utf-8",
    )


def _emotion2vec_config(dim: int, heads: int, audio: dict[str, Any]) -> dict[str, Any]:
    decoder = {
        "decoder_dim": 384, "decoder_groups": 16, "decoder_kernel": 7, "decoder_layers": 4, "input_dropout": 0.1,
        "add_positions_masked": False, "add_positions_all": False, "decoder_residual": True, "projection_layers": 1,
        "projection_ratio": 2.0,
    }  # fmt: skip
    modality = {
        "type": "AUDIO", "prenet_depth": 4, "prenet_layerdrop": 0.05, "prenet_dropout": 0.1,
        "start_drop_path_rate": 0.0, "end_drop_path_rate": 0.0, "num_extra_tokens": 10, "init_extra_token_zero": True,
        "mask_noise_std": 0.01, "mask_prob": 0.5, "use_alibi_encoder": True, "alibi_scale": 1.0,
        "learned_alibi": False, "learned_alibi_scale": True, "learned_alibi_scale_per_head": True,
        "learned_alibi_scale_per_layer": False, "num_alibi_heads": heads, "model_depth": 8, "local_grad_mult": 1.0,
        "decoder": decoder, "extractor_mode": "layer_norm", "conv_pos_width": 95, "conv_pos_groups": 16,
        "feature_encoder_spec": "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]",
        "conv_pos_depth": 5, "conv_pos_pre_ln": False,
    }  # fmt: skip
    model = {
        "loss_beta": 0.0, "loss_scale": None, "depth": 8, "start_drop_path_rate": 0.0, "end_drop_path_rate": 0.0,
        "num_heads": heads, "norm_eps": 1e-05, "norm_affine": True, "encoder_dropout": 0.1, "post_mlp_drop": 0.1,
        "attention_dropout": 0.1, "activation_dropout": 0.0, "dropout_input": 0.0, "layerdrop": 0.05,
        "embed_dim": dim, "mlp_ratio": 4.0, "layer_norm_first": False, "average_top_k_layers": 8,
        "end_of_block_targets": False, "normalize": True, "modalities": {"audio": modality | audio},
    }  # fmt: skip
    tokenizer = {"tokenizer": "CharTokenizer", "tokenizer_conf": {"unk_symbol": "<unk>", "split_with_space": True}}
    return {"model": "Emotion2vec", "model_conf": model, **tokenizer}
