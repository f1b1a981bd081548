"""From clips to answers, by a trained audio model: the same steps as in the pipeline, without its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from torch import nn

from emopipe.audio import saving
from emopipe.audio.batches import Collate, Example
from emopipe.audio.model import Trained
from emopipe.audio.prediction import BATCH
from emopipe.audio.tasks import Regression
from emopipe.backbones.backbone import Encoding
from emopipe.backbones.loading import reload_verified
from emopipe.encoding.encoder import Encoder
from emopipe.encoding.parameters import Encode
from emopipe.encoding.store import KIND
from emopipe.io.errors import UserError
from emopipe.io.paths import is_path, local_folder
from emopipe.recognition.clips import Clip, named, waveform
from emopipe.recordings.reading import RejectedError, SilentError, TooShortError
from emopipe.schemas.manifest import SAMPLE_RATE
from emopipe.training import data
from emopipe.training.networks import Ensemble
from emopipe.weights import hub

Device = Literal["auto", "cpu", "cuda"]

TOGETHER = 256  # clips whose encodings are in memory at a time
FILES = ("config.json", "model.safetensors")
STATUS: dict[type[RejectedError], str] = {TooShortError: "too_short", SilentError: "no_speech"}


class Recognizer:
    """A trained audio model that answers clips.

    >>> recognizer = Recognizer.load("models/audio")  # doctest: +SKIP
    >>> recognizer(["speech.wav", (samples, 48_000)])[["clip", "emotion", "confidence"]]  # doctest: +SKIP
             clip    emotion  confidence
    0  speech.wav  happiness    0.834201
    1           1    neutral    0.611029
    """

    def __init__(self, trained: Trained, encoder: Encoder) -> None:
        self.trained = trained
        self.encoder = encoder

    @classmethod
    def load(
        cls, model: str | Path = saving.FOLDER, revision: str | None = None, device: Device = "auto"
    ) -> Recognizer:
        """Load a model with the backbone that it was trained on.

        Args:
            model: a folder that the pipeline wrote, or a repository of the Hugging Face hub, ``owner/name``
            revision: of the repository: a branch, a tag or a commit; None: its main branch
            device: where to compute; ``auto`` is a GPU where there is one

        Raises:
            UserError: if there is no such model, or its weights or its backbone's are not those that it names
        """
        trained = saving.load(_folder(str(model), revision))
        if trained is None:
            raise UserError(f"{model}: no model: the audio branch of that pipeline was switched off")
        if device == "cuda" and not torch.cuda.is_available():
            raise UserError("device: cuda, but PyTorch sees no GPU; choose auto or cpu")
        where = torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
        settings = Encode.model_validate({name: trained.provenance[name] for name in Encode.model_fields})
        backbone = reload_verified(trained.provenance["backbone"])
        return cls(trained, Encoder(backbone, trained.provenance["trainable_layers"], settings, where))

    @property
    def columns(self) -> list[str]:
        """Return the columns of an answer, which are those that a rejected clip leaves empty."""
        task = self.trained.task
        if isinstance(task, Regression):
            return [*task.names, "spread"]
        return ["emotion", "confidence", *(f"p_{label}" for label in task.labels), "spread"]

    def __call__(self, clips: Iterable[Clip]) -> pd.DataFrame:
        """Return a row for every clip, in order.

        An answer does not depend on the other clips. Of a clip only ``encode.max_seconds`` are heard, as in training.

        Args:
            clips: paths, segments of files (:class:`emopipe.recordings.reading.Recording`), or pairs of samples and
                their rate in Hz

        Returns:
            ``clip``: path or number; ``seconds``: its length; ``heard``: how much of that; then of a classification
            ``emotion``, ``confidence`` (its calibrated probability) and ``p_LABEL`` of every emotion, of a regression
            the dimensions on the scale of 1 to 5; ``spread``: standard deviation over the members of the ensemble, of
            the probability of that emotion or, mean over the dimensions, of the rating; ``status``: ok, too_short,
            no_speech or unreadable, and ``reason`` in words where it is not ok
        """
        columns = ["clip", "seconds", "heard", *self.columns, "status", "reason"]
        return pd.DataFrame(list(self.answers(clips)), columns=columns)

    def answers(self, clips: Iterable[Clip]) -> Iterator[dict[str, Any]]:
        """Yield the rows of :meth:`__call__` one by one; memory does not grow with their number."""
        numbered = enumerate(clips)
        while some := list(islice(numbered, TOGETHER)):
            yield from self._answered(some)

    def _answered(self, clips: list[tuple[int, Clip]]) -> Iterator[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        heard: list[int] = []  # the rows of clips that could be read

        def waveforms() -> Iterator[np.ndarray]:
            for number, clip in clips:
                rows.append({"clip": named(clip, number), "status": "ok", "reason": ""})
                try:
                    samples = waveform(clip)
                except RejectedError as error:
                    rows[-1] |= {"status": STATUS.get(type(error), "unreadable"), "reason": str(error)}
                    continue
                seconds = len(samples) / SAMPLE_RATE
                rows[-1] |= {"seconds": seconds, "heard": min(seconds, self.encoder.settings.max_seconds)}
                heard.append(len(rows) - 1)
                yield samples

        encodings = list(self.encoder(waveforms()))
        if encodings:
            for row, answer in zip(heard, self._outputs(encodings), strict=True):
                rows[row] |= answer
        yield from rows

    def _outputs(self, encodings: list[Encoding]) -> Iterator[dict[str, Any]]:
        """Yield the answers to encoded clips."""
        memory = _Memory(encodings)
        dataset = data.ExampleDataset([Example(i, 0) for i in range(len(encodings))], memory.lengths(slice(None)))
        collate = Collate(memory, self.trained.settings)
        model, task = self.trained.model, self.trained.task
        outputs = data.predict(_Members(model), dataset, collate, BATCH, self.encoder.device).astype(np.float64)
        if isinstance(task, Regression):
            values = task.scale.inverse_transform(outputs)
            for mean, spread in zip(values.mean(1), values.std(1).mean(-1), strict=True):
                yield dict(zip(task.names, mean.tolist(), strict=True)) | {"spread": float(spread)}
            return
        temperature = self.trained.temperature
        chances = softmax(outputs.mean(1) / temperature, axis=-1)
        spreads = softmax(outputs / temperature, axis=-1).std(1)
        for own, spread in zip(chances, spreads, strict=True):
            best = int(own.argmax())
            answer = {"emotion": task.labels[best], "confidence": float(own[best]), "spread": float(spread[best])}
            yield answer | {f"p_{label}": float(chance) for label, chance in zip(task.labels, own, strict=True)}


class _Memory:
    """Encodings in memory, rounded as :class:`emopipe.encoding.store.Store` has them and read in the same way."""

    def __init__(self, encodings: Sequence[Encoding]) -> None:
        self._frames = [encoding.frames.numpy().astype(KIND) for encoding in encodings]
        self._statistics = np.stack([encoding.statistics.numpy().astype(KIND) for encoding in encodings])
        self._lengths = np.array([len(frames) for frames in self._frames])

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """Return the number of frames of rows, [rows]."""
        return self._lengths[rows]

    def statistics(self, rows: np.ndarray) -> np.ndarray:
        """Return mean and standard deviation of every layer, float32 [rows, 2, layers, dim]."""
        return self._statistics[rows].astype(np.float32)

    def frames(self, row: int) -> np.ndarray:
        """Return the frames of a row, float32 [frames, dim]."""
        return self._frames[row].astype(np.float32)


class _Members(nn.Module):
    """The outputs of every member of an ensemble, [batch, members, outputs]."""

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        self.members = ensemble.members

    def forward(self, **batch: torch.Tensor) -> torch.Tensor:
        return torch.stack([member(**batch) for member in self.members], dim=1)


def _folder(model: str, revision: str | None) -> Path:
    """Return the folder of a model, which is fetched where it is a repository of the hub."""
    if not is_path(model):
        return hub.model(model, revision, FILES)
    if revision is not None:
        raise UserError(f"{model}: a folder has no revision {revision}")
    return local_folder(model, "model")
