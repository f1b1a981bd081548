"""From samples to the input of a backbone's first block, in tensor operations alone: what a graph can hold.

A backbone's own :meth:`~emopipe.backbones.backbone.Backbone.front_end` leaves the first step to the feature extractor
of transformers, which is NumPy. Here that step is a module; all that follows is the backbone's own modules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, gelu, pad
from torch.nn.utils import skip_init
from torch.nn.utils.parametrize import is_parametrized

from emopipe.backbones.backbone import Backbone
from emopipe.backbones.convolutional import Convolutional
from emopipe.backbones.emotion2vec import Emotion2vec
from emopipe.backbones.whisper import STRIDE, TAIL, Whisper

if TYPE_CHECKING:
    from transformers import WhisperFeatureExtractor

SMALLEST_POWER = 1e-10  # whose logarithm is taken in place of that of less
RANGE = 8.0  # by how much the logarithm of the softest may be below that of the loudest


class LogMel(nn.Module):
    """The log-mel spectrogram of Whisper as a convolution.

    X_k = Σ_t w_t x_t exp(−2πi k t / N) of every window is a convolution with the rows w_t cos(2π k t / N) and
    −w_t sin(2π k t / N), the window w (Hann) being among the weights.

    Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", 2022, section 2.2.
    """

    def __init__(self, features: WhisperFeatureExtractor) -> None:
        super().__init__()
        size = features.n_fft
        frequency, time = torch.arange(size // 2 + 1)[:, None], torch.arange(size)
        angle = 2 * torch.pi * (frequency * time % size).double() / size  # of whole turns nothing is left to be rounded
        window = torch.hann_window(size, dtype=torch.float64)
        rows = torch.cat([window * angle.cos(), -window * angle.sin()])
        self.register_buffer("transform", rows[:, None].float())
        self.register_buffer("filters", torch.from_numpy(features.mel_filters).T.float())
        self.hop = features.hop_length
        self.margin = size // 2

    def forward(self, samples: Tensor) -> Tensor:
        """Map [samples] to [1, bands, samples / hop]."""
        padded = pad(samples[None, None], (self.margin, self.margin), mode="reflect")
        real, imaginary = conv1d(padded, self.transform, stride=self.hop)[..., :-1].chunk(2, 1)
        logarithm = (self.filters @ (real.square() + imaginary.square())).clamp(min=SMALLEST_POWER).log10()
        return (torch.maximum(logarithm, logarithm.max() - RANGE) + 4) / 4


class WhisperFrontEnd(nn.Module):
    """What :meth:`emopipe.backbones.whisper.Whisper.front_end` computes."""

    def __init__(self, backbone: Whisper, max_samples: int) -> None:
        super().__init__()
        self.log_mel = LogMel(backbone.features)
        self.conv1, self.conv2 = backbone.front["conv1"], backbone.front["conv2"]
        # a copy: what is beyond the longest clip would be in the file, too
        self.register_buffer("positions", backbone.front["positions"].weight[: -(-max_samples // STRIDE)].clone())

    def forward(self, samples: Tensor) -> Tensor:
        """Map [samples] to [frames, dim]."""
        frames = (samples.shape[0] + STRIDE - 1) // STRIDE
        padded = pad(samples, (0, frames * STRIDE + TAIL - samples.shape[0]))
        x = self.log_mel(padded)[..., : 2 * frames]
        return gelu(self.conv2(gelu(self.conv1(x))))[0].T + self.positions[:frames]


class ConvolutionalFrontEnd(nn.Module):
    """What :meth:`emopipe.backbones.convolutional.Convolutional.front_end` computes."""

    def __init__(self, backbone: Convolutional) -> None:
        super().__init__()
        self.front = backbone.front
        self.normalise = backbone.extractor.do_normalize
        for name, module in list(self.front.named_modules()):
            if is_parametrized(module, "weight"):
                self.front.set_submodule(name, _plain(module))

    def forward(self, samples: Tensor) -> Tensor:
        """Map [samples] to [frames, dim]."""
        if self.normalise:
            samples = (samples - samples.mean()) / (samples.var(correction=0) + 1e-7).sqrt()
        x = self.front["convolutions"](samples[None]).transpose(1, 2)
        projected = self.front["projection"](x)
        x = projected[0] if isinstance(projected, tuple) else projected
        return self.front["norm"](x + self.front["positions"](x))[0]


def _plain(module: nn.Conv1d) -> nn.Conv1d:
    """Return a convolution whose weights are what a norm makes of those of another, which then need not be made again.

    To remove the norm from a copy removes it from the original as well: they share a class that PyTorch made for them.
    """
    sizes = (module.in_channels, module.out_channels, module.kernel_size, module.stride, module.padding)
    plain = skip_init(nn.Conv1d, *sizes, module.dilation, module.groups, bias=module.bias is not None)
    plain.load_state_dict({"weight": module.weight, "bias": module.bias})
    return plain


class Emotion2vecFrontEnd(nn.Module):
    """The front end of an emotion2vec, which is tensor operations as it is."""

    def __init__(self, backbone: Emotion2vec) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, samples: Tensor) -> Tensor:
        """Map [samples] to [extra tokens + frames, dim]."""
        return self.backbone.front_end(samples)


def front_end(backbone: Backbone, max_samples: int) -> nn.Module:
    """Return what maps [samples], of one clip at 16 kHz, to the input of the first block.

    Args:
        backbone: whose modules it has; changed in place to what a graph can hold, which computes the same
        max_samples: of the longest clip
    """
    match backbone:
        case Whisper():
            return WhisperFrontEnd(backbone, max_samples)
        case Convolutional():
            return ConvolutionalFrontEnd(backbone)
        case Emotion2vec():
            return Emotion2vecFrontEnd(backbone)
    raise NotImplementedError(type(backbone))
