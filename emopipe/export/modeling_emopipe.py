"""A model of emotion in speech, trained with emopipe, for transformers: this file is all the code that it needs.

    from transformers import pipeline

    classify = pipeline("audio-classification", "OWNER/NAME", trust_remote_code=True, top_k=None)
    classify(samples)  # float32, 16 kHz, one channel

An encoder of transformers, of which the statistics of all layers or the frames of the last one are pooled, and the
heads of one or several members, whose outputs are averaged. Clips of a batch are encoded one by one, so that no answer
depends on the padding.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.whisper.modeling_whisper import WhisperEncoder

STRIDE = 320  # samples that a frame of Whisper stands for
TAIL = 480  # samples of silence behind a clip, for the last columns of Whisper's spectrogram


class EmopipeConfig(PreTrainedConfig):
    """What the model is made of."""

    model_type = "emopipe"

    def __init__(
        self,
        encoder: dict[str, Any] | None = None,
        depth: int = 1,
        final_norm: bool = True,
        features: str = "frozen",
        trained_blocks: int = 0,
        layer_pooling: str = "concat",
        pooling: str = "mean",
        head: tuple[tuple[Any, ...], ...] = (("Linear", 1, 2),),
        members: int = 1,
        max_samples: int = 240_000,
        normalised: bool = False,
        calibration_temperature: float = 1.0,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        **others: Any,
    ) -> None:
        """Take the parts.

        Args:
            encoder: configuration of the encoder
            depth: how many of its blocks are used, from the lowest
            final_norm: whether the encoder's last norm stands behind them
            features: what the heads are given: the statistics of the layers, as they were pretrained (``frozen``) or
                with blocks that were trained (``tuned_layers``); frames of blocks that were trained for each member
                (``finetuned``); or frozen statistics and such frames (``both``)
            trained_blocks: how many of the blocks were trained, the highest
            layer_pooling: ``concat``, ``concat_means`` or ``weighted``
            pooling: of frames: ``mean`` or ``attentive_statistics``
            head: classes of torch.nn with their arguments, one behind the other
            members: whose outputs are averaged
            max_samples: of a longer clip the beginning counts
            normalised: whether the encoder takes samples of mean 0 and variance 1
            calibration_temperature: by which the outputs are divided, so that their softmax is calibrated
            mean: of a regression: of the training targets, which are added to outputs times ``std``
            std: likewise
            others: of every configuration
        """
        super().__init__(**others)
        self.encoder, self.depth, self.final_norm = encoder, depth, final_norm
        self.features, self.trained_blocks, self.layer_pooling, self.pooling = (
            features, trained_blocks, layer_pooling, pooling,
        )  # fmt: skip
        self.head, self.members, self.max_samples, self.normalised = head, members, max_samples, normalised
        self.calibration_temperature, self.mean, self.std = calibration_temperature, mean, std


class EmopipeForAudioClassification(PreTrainedModel):
    """From samples to one score for every label, or one rating from 1 to 5 for every dimension."""

    config_class = EmopipeConfig
    main_input_name = "input_values"
    _supports_sdpa = True

    def __init__(self, config: EmopipeConfig) -> None:
        super().__init__(config)
        own = AutoConfig.for_model(**config.encoder)
        whisper = own.model_type == "whisper"
        encoder = WhisperEncoder(own) if whisper else AutoModel.from_config(own)
        blocks = (encoder if whisper else encoder.encoder).layers[: config.depth]
        norm = (encoder if whisper else encoder.encoder).layer_norm if config.final_norm else nn.Identity()
        self.front = (
            WhisperFront(encoder, config.max_samples) if whisper else ConvolutionalFront(encoder, config.normalised)
        )
        self.first_trained = config.depth - config.trained_blocks
        own_blocks = config.features in ("finetuned", "both")  # of each member
        self.members = nn.ModuleList(
            Member(config, own.hidden_size, blocks[self.first_trained :] if own_blocks else None, norm)
            for _ in range(config.members)
        )
        self.blocks = blocks[: self.first_trained] if config.features == "finetuned" else blocks
        self.norm = norm
        self.post_init()

    def forward(self, input_values: Tensor, attention_mask: Tensor | None = None, **_: Any) -> SequenceClassifierOutput:
        """Answer clips.

        Args:
            input_values: samples at 16 kHz, [clips, samples]
            attention_mask: 1 where a sample is one of the clip, [clips, samples]; None: all are
        """
        masks = [None] * len(input_values) if attention_mask is None else attention_mask.bool()
        clips = [clip if mask is None else clip[mask] for clip, mask in zip(input_values, masks, strict=True)]
        outputs = torch.cat([self._answer(clip[: self.config.max_samples]) for clip in clips])
        if self.config.mean is None:
            return SequenceClassifierOutput(logits=outputs / self.config.calibration_temperature)
        std, mean = (torch.tensor(values, device=outputs.device) for values in (self.config.std, self.config.mean))
        return SequenceClassifierOutput(logits=outputs * std + mean)

    def _answer(self, clip: Tensor) -> Tensor:
        """Map one clip, [samples], to the mean output of the members, [1, outputs]."""
        x, bias = self.front(clip)[None], None
        frames, layers = halved(x), [halved(statistics(x))]
        for depth, block in enumerate(self.blocks, 1):
            if self.config.features == "tuned_layers" and depth == self.first_trained + 1:
                x = frames
            x, bias = through(block, x, bias)
            if depth == self.first_trained:
                frames = halved(x)
            trained = self.config.features == "tuned_layers" and depth > self.first_trained
            own = statistics(self.norm(x) if depth == self.config.depth else x)
            layers.append(own if trained else halved(own))
        bias = bias if self.first_trained else None  # blocks from the first one on make their own
        found = [member(frames, torch.stack(layers, 2), bias) for member in self.members]
        return torch.stack(found, 1).mean(1)


class Member(nn.Module):
    """What one member adds to the encoder: blocks of its own, pooling and a head."""

    def __init__(self, config: EmopipeConfig, dim: int, blocks: nn.ModuleList | None, norm: nn.Module) -> None:
        super().__init__()
        self.blocks = None if blocks is None else deepcopy(blocks)
        self.norm = None if blocks is None else deepcopy(norm)
        attentive = config.pooling == "attentive_statistics" and blocks is not None
        self.pooling = AttentiveStatistics(dim) if attentive else None
        pooled = config.features != "finetuned"
        self.layers = LayerPooling(config.layer_pooling, config.depth + 1, dim) if pooled else None
        self.head = nn.Sequential(*(getattr(nn, name)(*sizes) for name, *sizes in config.head))

    def forward(self, frames: Tensor, layers: Tensor, bias: Tensor | None) -> Tensor:
        """Map frames [1, frames, dim] and statistics [1, 2, layers, dim] to outputs, [1, outputs]."""
        parts = []
        if self.blocks is not None:
            for block in self.blocks:
                frames, bias = through(block, frames, bias)
            frames = self.norm(frames)
            parts.append(frames.mean(1) if self.pooling is None else self.pooling(frames))
        if self.layers is not None:
            parts.append(self.layers(layers))
        return self.head(torch.cat(parts, 1))


class LayerPooling(nn.Module):
    """One vector from the mean and the standard deviation of every layer, [1, 2, layers, dim]."""

    def __init__(self, kind: str, layers: int, dim: int) -> None:
        super().__init__()
        self.kind = kind
        if kind == "weighted":
            self.weights = nn.Parameter(torch.zeros(layers))
        else:
            width = 2 * layers * dim if kind == "concat" else (layers - 1) * dim
            self.register_buffer("centre", torch.zeros(width))
            self.register_buffer("scale", torch.ones(width))

    def forward(self, layers: Tensor) -> Tensor:
        """Return the vector, [1, width]."""
        if self.kind == "weighted":
            return torch.einsum("l,bld->bd", self.weights.softmax(0), layers[:, 0])
        chosen = layers if self.kind == "concat" else layers[:, 0, 1:]
        return (chosen.flatten(1) - self.centre) / self.scale


class AttentiveStatistics(nn.Module):
    """Mean and standard deviation under attention that was trained (Okabe, Koshinaka and Shinoda, 2018)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(dim, dim)
        self.score = nn.Linear(dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map [1, frames, dim] to [1, 2 dim]."""
        weights = self.score(torch.tanh(self.project(x))).softmax(1)
        mean = (weights * x).sum(1)
        variance = (weights * (x - mean[:, None]).square()).sum(1)
        return torch.cat([mean, variance.clamp_min(1e-5).sqrt()], 1)


class WhisperFront(nn.Module):
    """From samples to the frames below Whisper's first block, for the clip alone and not for 30 s."""

    def __init__(self, encoder: WhisperEncoder, max_samples: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = encoder.conv1, encoder.conv2
        positions = encoder.embed_positions.weight
        self.positions = nn.Parameter(positions[: -(-max_samples // STRIDE)].detach().clone())
        self.register_buffer("window", torch.zeros(400))
        self.register_buffer("filters", torch.zeros(encoder.config.num_mel_bins, 201))

    def forward(self, samples: Tensor) -> Tensor:
        """Map [samples] to [frames, dim]."""
        frames = -(-len(samples) // STRIDE)
        padded = pad(samples, (0, frames * STRIDE + TAIL - len(samples)))
        power = torch.stft(padded, 400, 160, window=self.window, return_complex=True)[:, :-1].abs().square()
        decades = (self.filters @ power).clamp_min(1e-10).log10()
        mel = (torch.maximum(decades, decades.max() - 8) + 4) / 4
        x = gelu(self.conv2(gelu(self.conv1(mel[None, :, : 2 * frames]))))
        return x[0].T + self.positions[:frames]


class ConvolutionalFront(nn.Module):
    """From samples to the frames below the first block of wav2vec 2.0 and what is built as it is."""

    def __init__(self, encoder: PreTrainedModel, normalised: bool) -> None:
        super().__init__()
        self.normalised = normalised
        self.convolutions, self.projection = encoder.feature_extractor, encoder.feature_projection
        self.positions = encoder.encoder.pos_conv_embed
        last = getattr(encoder.config, "do_stable_layer_norm", False)  # then the norm stands behind the blocks
        self.norm = nn.Identity() if last else encoder.encoder.layer_norm

    def forward(self, samples: Tensor) -> Tensor:
        """Map [samples] to [frames, dim]."""
        if self.normalised:
            samples = (samples - samples.mean()) / (samples.var(correction=0) + 1e-7).sqrt()
        projected = self.projection(self.convolutions(samples[None]).transpose(1, 2))
        x = projected[0] if isinstance(projected, tuple) else projected
        return self.norm(x + self.positions(x))[0]


def through(block: nn.Module, x: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return the output of a block and, of a WavLM, the bias for distance, which its first block makes."""
    if "WavLM" in type(block).__name__:
        return block(x, position_bias=bias)
    return block(x, attention_mask=None), None


def statistics(x: Tensor) -> Tensor:
    """Return mean and standard deviation over the frames, [1, frames, dim] to [1, 2, dim]."""
    return torch.stack([x.mean(1), x.var(1, correction=0).clamp_min(1e-24).sqrt()], 1)


def halved(x: Tensor) -> Tensor:
    """Round to float16: the heads were trained on numbers that had been stored so."""
    return x.half().to(x.dtype)
