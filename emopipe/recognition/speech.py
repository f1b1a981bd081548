"""From clips to answers, by a trained audio model: the same steps as in the pipeline, without its files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from math import isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import softmax
from torch import nn

from emopipe.audio import saving
from emopipe.audio.batches import Collate, Example
from emopipe.audio.model import Trained, TunedModel
from emopipe.audio.prediction import BATCH
from emopipe.audio.tasks import Regression
from emopipe.backbones.backbone import Encoding
from emopipe.backbones.loading import reload_verified
from emopipe.encoding.encoder import Encoder, in_threads
from emopipe.encoding.parameters import Encode
from emopipe.encoding.row_files import KIND
from emopipe.io.errors import UserError
from emopipe.io.paths import is_path, local_folder
from emopipe.recognition.clips import Clip, blocks, named
from emopipe.recognition.devices import Device, chosen
from emopipe.recognition.journal import Answer
from emopipe.recognition.segmentation import Cutting, Mode, Piece, pieces
from emopipe.recordings.reading import Recording
from emopipe.recordings.resampling import converted_stream
from emopipe.schemas import dev_answers
from emopipe.training import data
from emopipe.training.devices import single_thread
from emopipe.training.networks import Ensemble
from emopipe.weights import hub

_Segment = tuple[int, str, Piece]  # number and name of a clip, a segment of its file

FILES = ("config.json", "model.safetensors")


class Recognizer:
    """A trained audio model that answers clips.

    >>> recognizer = Recognizer.load("models/audio")  # doctest: +SKIP
    >>> recognizer(["speech.wav", (samples, 48_000)])[["clip", "emotion", "confidence"]]  # doctest: +SKIP
             clip    emotion  confidence
    0  speech.wav  happiness    0.834201
    1           1    neutral    0.611029
    """

    def __init__(self, trained: Trained, encoder: Encoder, folder: Path) -> None:
        """Take a model.

        Args:
            trained: the model
            encoder: with the backbone below it
            folder: that the model was loaded from
        """
        self.trained = trained
        self.encoder = encoder
        self.folder = folder
        self._members = _Members(trained.model)

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
        folder = _folder(str(model), revision)
        trained = saving.load(folder)
        if trained is None:
            raise UserError(f"{model}: no model: the audio branch of that pipeline was switched off")
        where = chosen(device)
        settings = Encode.of(trained.provenance)
        backbone = reload_verified(trained.provenance)
        return cls(trained, Encoder(backbone, trained.provenance["trainable_layers"], settings, where), folder)

    @property
    def columns(self) -> list[str]:
        """Return the columns of an answer, which are those that a rejected clip leaves empty."""
        task = self.trained.task
        if isinstance(task, Regression):
            return [*task.names, "spread"]
        return ["emotion", "confidence", *(f"p_{label}" for label in task.names), "spread"]

    def __call__(self, clips: Iterable[Clip], cutting: Cutting | Mode = "none") -> pd.DataFrame:
        """Return a row for every clip, or for every segment of it, in order.

        An answer does not depend on the other clips.

        Args:
            clips: paths, segments of files (:class:`emopipe.recordings.reading.Recording`), or pairs of samples and
                their rate in Hz
            cutting: of clips into segments; by default they are taken as they are, and of a long one the model hears
                the beginning, ``encode.max_seconds``, as in training

        Returns:
            ``clip``: path or number; ``start`` and ``end``: of the segment within that, in seconds; then of a
            classification ``emotion``, ``confidence`` (its calibrated probability) and ``p_LABEL`` of every emotion, of
            a regression the dimensions on the scale of 1 to 5; ``spread``: standard deviation over the members of the
            ensemble, of the probability of that emotion or, mean over the dimensions, of the rating; ``status``: ok,
            too_short, no_speech or unreadable, and ``reason`` in words

        Raises:
            UserError: if the model cannot hear segments of such lengths
        """
        columns = ["clip", "start", "end", *self.columns, "status", "reason"]
        return pd.DataFrame([answer.row for answer in self.answers(clips, cutting)], columns=columns)

    def answers(self, clips: Iterable[Clip], cutting: Cutting | Mode = "none") -> Iterator[Answer]:
        """Return the rows of :meth:`__call__` one by one, each with the number of its clip.

        Clips are taken, decoded and cut while others are encoded. Memory grows neither with the number of clips nor
        with their length.
        """
        return self.encoder.in_batches(self._answered, self._pieces(clips, self._checked(cutting)))

    def stream(
        self, chunks: Iterable[np.ndarray], rate: int, cutting: Cutting | Mode = "speech"
    ) -> Iterator[dict[str, Any]]:
        """Yield a row for every segment of a signal as soon as that has ended; what a file of the signal gives.

        Args:
            chunks: samples as they come, any number at a time: floats of full scale ±1, or int16; [samples] or
                [samples, channels]
            rate: of them, in Hz
            cutting: into segments

        Raises:
            UserError: if the model cannot hear segments of such lengths
        """
        cutting = self._checked(cutting)
        for piece in pieces(converted_stream(chunks, rate), cutting, self.encoder.max_samples):
            with single_thread():  # as in a thread that encodes one of several clips
                (answer,) = self._answered([(0, "stream", piece)])
            yield {name: value for name, value in answer.row.items() if name != "clip"}

    def _checked(self, cutting: Cutting | Mode) -> Cutting:
        cutting = Cutting(cutting) if isinstance(cutting, str) else cutting
        if cutting.mode != "none":
            cutting.cutter(self.encoder.max_samples)  # refuses here, not at the first long recording
        return cutting

    def _pieces(self, clips: Iterable[Clip], cutting: Cutting) -> Iterator[_Segment]:
        def cut(clip: Clip) -> tuple[Clip, Iterator[Piece]]:
            found = pieces(blocks(clip), cutting, self.encoder.max_samples)
            return clip, chain([next(found)], found)  # a short clip is decoded here, a long one as it is asked for

        for number, (clip, found) in enumerate(in_threads(cut, clips, torch.get_num_threads())):
            start, end = (clip.start, clip.end) if isinstance(clip, Recording) else (nan, nan)
            begin = 0.0 if isnan(start) else start
            for piece in found:
                until = end if isnan(piece.end) else begin + piece.end
                yield number, named(clip, number), piece._replace(start=begin + piece.start, end=until)

    def _answered(self, segments: Sequence[_Segment]) -> list[Answer]:
        waveforms = [piece.samples for *_, piece in segments if piece.samples is not None]
        outputs = self.outputs(self.encoder.encode(waveforms)) if waveforms else iter(())
        answers = []
        for number, clip, piece in segments:
            row = {"clip": clip, "start": piece.start, "end": piece.end}
            row |= dict.fromkeys(self.columns) if piece.samples is None else next(outputs)
            answers.append(Answer(number, row | {"status": piece.status, "reason": piece.reason}))
        return answers

    def outputs(self, encodings: Sequence[Encoding]) -> Iterator[dict[str, Any]]:
        """Yield the answers to encoded clips."""
        return self.described(self.member_outputs(encodings))

    def member_outputs(self, encodings: Sequence[Encoding]) -> np.ndarray:
        """Return what every member of the ensemble gives for encoded clips, float64 [clips, members, outputs].

        They are scores before the softmax, or dimensions on the scale of the training.
        """
        memory = _Memory(encodings)
        dataset = data.ExampleDataset([Example(i, 0) for i in range(len(encodings))], memory.lengths(slice(None)))
        collate = Collate(memory, self.trained.settings)
        return data.predict(self._members, dataset, collate, BATCH, self.encoder.device).astype(np.float64)

    def described(self, outputs: np.ndarray) -> Iterator[dict[str, Any]]:
        """Yield the answers that the outputs of the members are, [clips, members, outputs]."""
        task = self.trained.task
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
            answer = {"emotion": task.names[best], "confidence": float(own[best])}
            answer |= {f"p_{label}": float(chance) for label, chance in zip(task.names, own, strict=True)}
            yield answer | {"spread": float(spread[best])}


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

    def __init__(self, model: Ensemble | TunedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, **batch: torch.Tensor) -> torch.Tensor:
        return self.model.outputs(**batch)


def _folder(model: str, revision: str | None) -> Path:
    """Return the folder of a model, which is fetched where it is a repository of the hub."""
    if not is_path(model):
        return hub.model(model, revision, FILES, [dev_answers.NAME])
    if revision is not None:
        raise UserError(f"{model}: a folder has no revision {revision}")
    return local_folder(model, "model")
