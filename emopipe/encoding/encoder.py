"""From clips to their encodings: a backbone, and how much of a clip it is given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import metadata
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import torch

from emopipe.backbones.backbone import Backbone, Encoding
from emopipe.backbones.loading import load
from emopipe.backbones.parameters import BackboneChoice
from emopipe.encoding.parameters import Encode
from emopipe.io.errors import UserError
from emopipe.schemas.manifest import SAMPLE_RATE

BATCH = 16  # clips that an accelerator encodes at once
AHEAD = 4  # batches that wait for a thread, so that none of them waits for the next clip

Item = TypeVar("Item")
Result = TypeVar("Result")


class Encoder:
    """Encodes clips.

    On a CPU every clip is encoded alone, by one thread, and as many at a time as PyTorch may use threads. Threads that
    share a clip would wait for each other a hundred times, and the last bits would depend on their number. An
    accelerator is given a batch at a time.
    """

    def __init__(self, backbone: Backbone, trainable: int, settings: Encode, device: torch.device) -> None:
        """Take a loaded backbone.

        Args:
            backbone: moved to the device
            trainable: number of its last blocks that are left to training
            settings: the ``encode`` group
            device: where to run

        Raises:
            UserError: if the backbone does not take clips of ``max_seconds``
        """
        self.backbone = backbone.to(device)
        self.trainable = trainable
        self.settings = settings
        self.device = device
        self.max_samples = round(settings.max_seconds * SAMPLE_RATE)
        if backbone.max_samples is not None and self.max_samples > backbone.max_samples:
            raise UserError(
                f"encode.max_seconds: {settings.max_seconds:g}, but {backbone.origin.name} takes "
                f"{backbone.max_samples / SAMPLE_RATE:g} s at most"
            )

    @classmethod
    def load(cls, choice: BackboneChoice, settings: Encode, device: torch.device) -> Encoder:
        """Load the backbone of the ``model`` group.

        Raises:
            UserError: if it is not available, has fewer blocks than are wanted, or does not take clips of this length
        """
        backbone = load(choice.backbone).cut(choice.output_layer)
        return cls(backbone, backbone.resolve_trainable(choice.trainable_layers), settings, device)

    @property
    def provenance(self) -> dict[str, Any]:
        """Which weights encode, and how: the content of ``encoding.json``."""
        return {
            "backbone": self.backbone.origin.provenance(),
            "blocks": self.backbone.block_count,
            "trainable_layers": self.trainable,
            "dim": self.backbone.dim,
            **self.settings.model_dump(),
            "versions": {package: metadata.version(package) for package in ("torch", "transformers")},
        }

    def __call__(self, clips: Iterable[np.ndarray]) -> Iterator[Encoding]:
        """Encode clips, in order; the next ones are taken while others are encoded.

        Args:
            clips: samples at 16 kHz, float32 [samples] each; what one has beyond ``max_seconds`` is left out

        Yields:
            the encoding of each clip, on the CPU
        """
        yield from self.in_batches(self.encode, clips)

    def in_batches(self, function: Callable[[list[Item]], Iterable[Result]], items: Iterable[Item]) -> Iterator[Result]:
        """Yield what a function that encodes returns for each item, in order; of batches that suit the device.

        Args:
            function: from a batch to a result for each item of it
            items: taken while others are encoded
        """
        on_cpu = self.device.type == "cpu"
        batches = _batches(items, 1 if on_cpu else BATCH)
        for results in in_threads(function, batches, torch.get_num_threads() if on_cpu else 1):
            yield from results

    def encode(self, clips: Sequence[np.ndarray]) -> list[Encoding]:
        """Encode clips as one batch; see :meth:`__call__`."""
        waveforms = [torch.from_numpy(clip[: self.max_samples]).to(self.device) for clip in clips]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            encodings = self.backbone.encode(waveforms, self.trainable)
        return [Encoding(frames.cpu(), statistics.cpu()) for frames, statistics in encodings]


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


def in_threads(function: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield what a function returns for each item, in order; within each of the threads PyTorch uses no others."""
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            waiting: deque[Future[Result]] = deque()
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads * AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        torch.set_num_threads(before)  # what a thread sets counts for every thread that is started later
