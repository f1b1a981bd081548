"""emotion2vec, as FunASR publishes it.

Ma et al., "emotion2vec: Self-Supervised Pre-Training for Speech Emotion Representation", 2023, arXiv:2312.15185.

A data2vec 2.0 encoder: convolutions, five positional convolutions, ten extra tokens, four prenet blocks and
eight main ones, all attending with a bias for distance (ALiBi). The twelve blocks are one kind and count alike.

FunASR's own loader keeps random weights when the file is missing, passes over what does not fit, and resets
seeds and threads. Here its network is built, and the checkpoint is loaded without tolerance.
"""

from __future__ import annotations

import io
import logging
import os
import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.nn.functional import layer_norm, pad

from emopipe.backbones.backbone import Backbone, Head, TrainableBlocks
from emopipe.backbones.family import Family, Layout, Published
from emopipe.io.errors import UserError
from emopipe.weights.files import Origin, load_strictly, read_tensors

FILES = ("configuration.json", "config.yaml", "tokens.txt")
WEIGHTS = "model.pt"

# What stands beside the encoder: the decoder of pretraining, the teacher's weights, the head.
DECODER, TEACHER, HEAD = "modality_encoders.AUDIO.decoder.", "_ema", "proj."
WRAPPERS = ("state_dict", "model_state_dict", "model")  # FunASR's trainers save the weights below one of these

# FunASR evaluates this entry of the configuration as code; here it must be sums and products of numbers.
CONVOLUTIONS = re.compile(r"[\d\s()\[\],+*]+")

EMOTIONS = {
    "angry": "anger", "disgusted": "disgust", "fearful": "fear", "happy": "happiness", "neutral": "neutral",
    "other": "other", "sad": "sadness", "surprised": "surprise",
}  # fmt: skip


class Emotion2vecBlocks(TrainableBlocks):
    """Blocks of an emotion2vec."""

    def __init__(self, blocks: nn.ModuleList, extra_tokens: int, alibi: Callable[..., Tensor], scale: Tensor) -> None:
        """Take blocks.

        Args:
            blocks: prenet and main blocks, in order
            extra_tokens: how many stand before the frames
            alibi: gives the unscaled bias, [1, heads, frames, frames]
            scale: of the bias, frozen, [1 or one per block, 1, heads, 1, 1]
        """
        super().__init__(blocks, nn.Identity())
        self.extra_tokens = extra_tokens
        self.alibi = alibi
        self.register_buffer("scale", scale, persistent=False)  # it is the backbone's

    def states(self, x: Tensor, valid: Tensor | None) -> Iterator[Tensor]:
        """Yield the output of each block."""
        bias = self._position_bias(x.shape[1] - self.extra_tokens, x.device)
        padded = None if valid is None else ~valid
        for block, own_bias in zip(self.blocks, bias, strict=True):
            x, _ = block(x, padded, own_bias)
            yield x

    def part(self, start: int, stop: int) -> Emotion2vecBlocks:
        """Return blocks ``start`` to ``stop - 1``."""
        scale = self.scale if len(self.scale) == 1 else self.scale[start:stop]
        return Emotion2vecBlocks(self.blocks[start:stop], self.extra_tokens, self.alibi, scale)

    def _position_bias(self, frames: int, device: torch.device) -> list[Tensor]:
        """Return for each block [1, heads, extra tokens + frames, extra tokens + frames]."""
        bias = self.alibi(batch_size=1, time_steps=frames, dtype=torch.float32, device=device)
        bias = pad(bias, (self.extra_tokens, 0, self.extra_tokens, 0))  # a token is near to all
        if len(self.scale) == 1:
            return [bias * self.scale[0]] * len(self.blocks)
        return [bias * scale for scale in self.scale]


class Emotion2vec(Backbone):
    """An emotion2vec behind the common interface."""

    def __init__(self, origin: Origin, network: nn.Module, normalise: bool, head: Head | None) -> None:
        encoder = network.modality_encoders["AUDIO"]
        prenet, settings = encoder.context_encoder, encoder.modality_cfg
        blocks = Emotion2vecBlocks(
            nn.ModuleList([*prenet.blocks, *network.blocks]),
            settings.num_extra_tokens,
            partial(encoder.get_alibi_bias, heads=settings.num_alibi_heads),
            encoder.alibi_scale.detach().clamp_min(0),
        )
        parts = {
            "convolutions": encoder.local_encoder,
            "projection": encoder.project_features,
            "positions": encoder.relative_positional_encoder,
            "norm": prenet.norm,
        }
        front = nn.ModuleDict(parts)
        front.register_parameter("tokens", encoder.extra_tokens)
        super().__init__(origin, front, blocks, network.cfg.embed_dim, head)
        self.normalise = normalise

    def front_end(self, waveform: Tensor) -> Tensor:
        """Return the input of the first prenet block, [extra tokens + frames, dim]."""
        samples = layer_norm(waveform, waveform.shape) if self.normalise else waveform
        x = self.front["projection"](self.front["convolutions"](samples[None]))
        x = torch.cat([self.front.tokens, x + self.front["positions"](x)], 1)
        return self.front["norm"](x)[0]


def load_folder(folder: Path, origin: Origin) -> Emotion2vec:
    """Load a folder in FunASR's layout: configuration.json, config.yaml, model.pt, tokens.txt.

    Raises:
        UserError: if a file is missing or is not what it should be, or the weights do not fit
    """
    state = _unwrapped(read_tensors(*_weight_files(folder)))
    config = _read_config(folder / "config.yaml")
    labels = _read_labels(folder / "tokens.txt") if f"{HEAD}weight" in state else []
    with _undisturbed():
        network = _build(config, folder)
    network.modality_encoders["AUDIO"].decoder = None
    beside = (DECODER, TEACHER, HEAD)
    own = {name: value for name, value in state.items() if not name.startswith(beside)}
    load_strictly(network, own, str(folder / WEIGHTS))
    head = _head(state, labels, folder) if labels else None
    return Emotion2vec(origin, network.float(), bool(config["model_conf"].get("normalize", False)), head)


def _read_config(file: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        name, settings = config["model"], config["model_conf"]
        audio = settings["modalities"]["audio"]
        convolutions = audio["feature_encoder_spec"]
    except (ValueError, yaml.YAMLError, KeyError, TypeError) as error:
        raise UserError(f"{file}: not a configuration of emotion2vec: {error!r}") from None
    if name != "Emotion2vec":
        raise UserError(f"{file}: model {name!r} is not supported; of FunASR's models only Emotion2vec is")
    if not CONVOLUTIONS.fullmatch(str(convolutions)) or "**" in convolutions:
        raise UserError(f"{file}: feature_encoder_spec: {convolutions!r} is more than lists of numbers")
    for group, key, published in (
        (settings, "layer_norm_first", False), (audio, "learned_alibi", False), (audio, "use_alibi_encoder", True),
    ):  # fmt: skip
        if group.get(key, published) != published:
            raise UserError(f"{file}: {key}: {group[key]}; every published emotion2vec has {published}")
    return config


def _build(config: Mapping[str, Any], folder: Path) -> nn.Module:
    from funasr.models.emotion2vec.model import Emotion2vec as Network  # takes seconds

    try:
        return Network(model_conf=config["model_conf"])
    except Exception as error:  # whatever a configuration makes the library raise
        raise UserError(f"{folder / 'config.yaml'}: FunASR cannot build this network: {error!r}") from None


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Leave seeds, threads, logging and the environment as they were: FunASR changes them as it is imported."""
    python, arrays, threads = random.getstate(), np.random.get_state(), torch.get_num_threads()
    root, environment = logging.getLogger(), dict(os.environ)
    handlers, level, disabled = list(root.handlers), root.level, logging.root.manager.disable
    with torch.random.fork_rng(), redirect_stdout(io.StringIO()):  # it prints notices
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(arrays)
            torch.set_num_threads(threads)
            root.handlers[:] = handlers
            root.setLevel(level)
            logging.disable(disabled)
            for name in set(os.environ) - set(environment):
                del os.environ[name]


def _unwrapped(content: Mapping[str, Any]) -> dict[str, Tensor]:
    for wrapper in WRAPPERS:
        if isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    return {name: value for name, value in content.items() if isinstance(value, Tensor)}


def _read_labels(file: Path) -> list[str]:
    """Return the emotion of each output: the lines read ``生气/angry``, ``angry``, ``unuse_0`` or ``<unk>``."""
    try:
        lines = file.read_text(encoding="utf-8").split()
    except FileNotFoundError:
        raise UserError(f"{file}: no such file; it names the outputs of the classifier in {WEIGHTS}") from None
    return [EMOTIONS.get(line.rpartition("/")[2], "") for line in lines]


def _head(state: Mapping[str, Tensor], labels: list[str], folder: Path) -> Head:
    weight, bias = state[f"{HEAD}weight"], state.get(f"{HEAD}bias")
    if bias is None or len(weight) != len(labels):
        raise UserError(
            f"{folder}: tokens.txt names {len(labels)} outputs, the classifier in {WEIGHTS} has {len(weight)}"
            + (" and no proj.bias" if bias is None else "")
        )
    return Head(labels, weight.float(), bias.float())


def _weight_files(folder: Path) -> list[Path]:
    for name in ("configuration.json", "config.yaml", WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name}: no such file; a folder of FunASR's holds {', '.join((*FILES, WEIGHTS))}")
    return [folder / WEIGHTS]


def _model_type(folder: Path) -> str | None:
    named = (folder / "configuration.json").is_file() and not (folder / "config.json").is_file()
    return "emotion2vec" if named or (folder / "config.yaml").is_file() else None


FUNASR = Layout(FILES, [[WEIGHTS]], _weight_files, _model_type)
OWN_LICENCE = "FunASR model licence"
FAMILY = Family(
    "emotion2vec",
    published={
        "emotion2vec_base": Published(
            "emotion2vec/emotion2vec_base",
            "Apache-2.0",
            modelscope="iic/emotion2vec_base",
            aliases=("emotion2vec",),
        ),
        "emotion2vec_base_finetuned": Published(
            "",
            "Apache-2.0",
            modelscope="iic/emotion2vec_base_finetuned",
            aliases=("emotion2vec-base",),  # as nkululeko calls it
        ),
        "emotion2vec_plus_seed": Published(
            "emotion2vec/emotion2vec_plus_seed",
            OWN_LICENCE,
            modelscope="iic/emotion2vec_plus_seed",
            aliases=("emotion2vec-seed",),
        ),
        "emotion2vec_plus_base": Published(
            "emotion2vec/emotion2vec_plus_base",
            OWN_LICENCE,
            modelscope="iic/emotion2vec_plus_base",
        ),
        "emotion2vec_plus_large": Published(
            "emotion2vec/emotion2vec_plus_large",
            OWN_LICENCE,
            modelscope="iic/emotion2vec_plus_large",
            aliases=("emotion2vec-large",),
        ),
    },
    layout=FUNASR,
    load=load_folder,
    linear_layers=("qkv", "proj", "fc1", "fc2"),
    has_classifier=True,
)
