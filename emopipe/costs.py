"""What a corpus costs: disk, processor time and transfer, from a short measurement on this machine.

The pipeline's own parts are run on a few clips of noise, in a temporary folder, by the parameters of params.yaml: the
time of a network depends on the length of a clip, not on what is said in it. The size of FLAC does depend on that, and
can be measured on recordings of the corpus.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import soundfile

from emopipe.audio.parameters import Model, Train
from emopipe.encoding.parameters import Encode
from emopipe.io.errors import UserError
from emopipe.parameters import Runtime
from emopipe.recordings.reading import Recording, RejectedError, describe
from emopipe.recordings.resampling import convert
from emopipe.schemas.manifest import DIMENSIONS, EMOTIONS, SAMPLE_RATE, write_manifest

if TYPE_CHECKING:
    import torch

    from emopipe.audio.model import Trained
    from emopipe.encoding.store import Store

FLAC = 13_400  # bytes a second, of RAVDESS (9,200) and nEMO (19,200) together
HALF = 2  # bytes of a number in the store
CLIPS = 8  # of noise, that are resampled and encoded
HEAD_BATCHES, BLOCK_BATCHES = (2, 10), (1, 4)  # of two trainings, whose difference is what an example costs
EPOCHS = 10  # of those of a head, at most
DEV, CLASSES = 8, 4  # utterances of dev, emotions
OF_A_RUN = ("train", "predict")  # stages that every fold and every seed has for itself
EMBEDDED = 1000  # test utterances that are run through the model twice, for a picture

Result = TypeVar("Result")


class Corpus(NamedTuple):
    """How much there is, and how often it is trained on."""

    utterances: int
    seconds: float  # of an utterance
    conditions: int
    runs: int  # trainings, of folds and seeds
    train: float  # share of the utterances
    dev: float

    @property
    def speech(self) -> float:
        """Return the seconds of speech."""
        return self.utterances * self.seconds


class Epoch(NamedTuple):
    """What an epoch of a training costs, in seconds of a processor."""

    fixed: float
    example: float
    predicted: float  # an utterance of dev, or of the test set

    def times(self, epochs: int, examples: float, dev: float) -> float:
        """Return what so many epochs cost, with a look at dev after each."""
        return epochs * (self.fixed + examples * self.example + dev * self.predicted)


class Measured(NamedTuple):
    """What things cost here: times in seconds of a processor, sizes in bytes."""

    light: float  # to start a stage without a network
    heavy: float  # to start one with a network
    resample: float  # a second of speech
    source: float  # of a second of speech
    flac: float  # of a second of speech
    encode: float  # an utterance under one condition
    frames: float  # number of them, of an utterance under one condition, extra tokens included
    layers: int
    dim: int
    backbone: int
    heads: Epoch | None  # of a head on frozen layers; None: there is none
    blocks: Epoch | None  # of trained blocks and what is above them; None: none are trained
    model: int  # models/audio
    checkpoints: int  # .checkpoints before a training ends


def statistics_bytes(rows: float, layers: int, dim: int) -> float:
    """Return the size of the layer statistics, mean and standard deviation of every layer.

    Args:
        rows: utterances, each counted under every condition
        layers: blocks and their input
        dim: width of a frame
    """
    return rows * 2 * layers * dim * HALF


def frames_bytes(frames: float, dim: int) -> float:
    """Return the size of frames.

    Args:
        frames: number of those of all rows, extra tokens included
        dim: width of one
    """
    return frames * dim * HALF


def disk(corpus: Corpus, measured: Measured) -> dict[str, float]:
    """Return the bytes of what the pipeline writes, by folder."""
    rows = corpus.utterances * corpus.conditions
    return {
        "data/audio, FLAC": corpus.speech * measured.flac,
        "data/encoded, statistics": statistics_bytes(rows, measured.layers, measured.dim),
        "data/encoded, frames": 0.0 if measured.blocks is None else frames_bytes(rows * measured.frames, measured.dim),
        "models/audio": corpus.runs * measured.model,
        ".checkpoints, during a training": measured.checkpoints,
    }


def processor_seconds(corpus: Corpus, measured: Measured, settings: Model, train: Train) -> dict[str, float]:
    """Return the seconds of a processor that each stage takes; train and predict: of one run."""
    test = corpus.utterances * (1 - corpus.train - corpus.dev)
    predicted = (measured.blocks or measured.heads).predicted
    return {
        "resample": measured.light + corpus.speech * measured.resample,
        "encode": measured.heavy + corpus.utterances * corpus.conditions * measured.encode,
        "train": measured.heavy + training_seconds(corpus, measured, settings, train),
        "predict": measured.heavy + (test + min(test, EMBEDDED)) * predicted,
    }


def training_seconds(corpus: Corpus, measured: Measured, settings: Model, train: Train) -> float:
    """Return the seconds of a processor of what ``audio.fitting.fit`` does where no patience ends it early."""
    dev = corpus.utterances * corpus.dev
    alone = corpus.utterances * corpus.train * corpus.conditions  # examples
    both = alone + dev * corpus.conditions
    member = measured.heads or measured.blocks
    seconds = _without_dev(settings, train) * member.times(train.epochs, alone, dev)
    if train.refit != "none":
        seconds += settings.ensemble_size * member.times(train.epochs, both, 0)
    if settings.features == "tuned_layers":
        blocks, epochs, shares = measured.blocks, train.tuning.epochs, train.interpolation
        compared = 2 if isinstance(shares, float) else 1 + len(shares)  # none of the change among them
        seconds += blocks.times(epochs, alone, dev) + compared * dev * blocks.predicted
        if train.refit != "none":
            seconds += blocks.times(epochs, both, 0)
    return seconds


def transfer(corpus: Corpus, measured: Measured, machines: int) -> dict[str, float]:
    """Return the bytes that go to the machines of a cluster, and come back."""
    flac, statistics, frames, models, _ = disk(corpus, measured).values()
    return {
        "recordings, to be resampled": corpus.speech * measured.source,
        "FLAC, back": flac,
        "FLAC, to be encoded": flac,
        "backbone, to each machine": machines * measured.backbone,
        "encodings, back": statistics + frames,
        "encodings, to each machine that trains": min(machines, corpus.runs) * (statistics + frames),
        "models, back": models,
    }


def measure(
    seconds: float, settings: Model, encode: Encode, train: Train, runtime: Runtime, recordings: Sequence[Path],
    folder: Path,
) -> Measured:  # fmt: skip
    """Measure on the processors of this machine.

    Args:
        seconds: of a clip
        settings: the ``model`` group
        encode: the ``encode`` group
        train: the ``train`` group
        runtime: its threads
        recordings: of the corpus; none: noise at 16 kHz, and the usual size of FLAC
        folder: an empty one

    Raises:
        UserError: if the backbone is not available or does not fit the parameters, or a recording cannot be used
    """
    light = time.process_time()
    from emopipe.audio import fitting  # noqa: F401 - loaded here, as by the stage that trains
    from emopipe.encoding.corpus import encode_corpus
    from emopipe.encoding.encoder import Encoder
    from emopipe.encoding.store import Store
    from emopipe.training.devices import set_up

    device = set_up(runtime.model_copy(update={"device": "cpu"}), seed=0)
    encoder = Encoder.load(settings, encode, device)
    heavy = time.process_time()
    clips, made = [_noise(folder / f"{i}.wav", seconds, i) for i in range(CLIPS)], folder / "audio"
    resample, source, flac = _resampled(clips, made)
    if recordings:
        resample, source, flac = _resampled(recordings, folder / "given")
    manifest = made / "manifest.csv"
    names = [str(i) for i in range(CLIPS)]
    rows = {"utterance": [f"c/{i}" for i in names], "corpus": "c", "path": [f"{i}.flac" for i in names]}
    write_manifest(pd.DataFrame(rows), manifest)
    list(encoder([soundfile.read(clips[0], dtype="float32")[0]]))  # the first time takes longer
    frames = settings.features != "frozen"
    encoding, _ = _timed(lambda: encode_corpus(encoder, manifest, frames, folder / "parts", folder / "encoded"))
    store = Store(folder / "encoded")
    return Measured(
        light, heavy, resample, source, flac if recordings else FLAC, encoding / len(store.index),
        store.index["frames"].mean(), store.layers, store.dim,
        sum(weight.nbytes for weight in encoder.backbone.state_dict().values()),
        *_trainings(_Trials(store, train, device, folder / "trials"), settings),
    )  # fmt: skip


def _noise(path: Path, seconds: float, seed: int) -> Path:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * SAMPLE_RATE)) * 0.1
    soundfile.write(path, samples, SAMPLE_RATE)
    return path


def _resampled(sources: Sequence[Path], folder: Path) -> tuple[float, float, float]:
    """Convert recordings; return for a second of them the processor's time, their bytes and those of the FLAC."""
    speech, began = 0.0, time.process_time()
    describe([Recording(path) for path in sources])  # as the stage does, to see that none has changed
    for i, path in enumerate(sources):
        try:
            speech += convert(Recording(path), folder / f"{i}.flac").samples / SAMPLE_RATE
        except RejectedError as reason:
            raise UserError(f"{path}: {reason}; name recordings that can be used") from None
    taken = time.process_time() - began
    return taken / speech, sum(path.stat().st_size for path in sources) / speech, _size(folder) / speech


class _Trial(NamedTuple):
    seconds: float  # of a processor
    examples: int
    trained: Trained
    checkpoints: int  # bytes

    def example(self, many: _Trial) -> float:
        """Return what an example more costs, by a training on more of them."""
        return max(0.0, many.seconds - self.seconds) / (many.examples - self.examples)


class _Trials:
    """Short trainings on the clips of a store, which come again and again."""

    def __init__(self, store: Store, train: Train, device: torch.device, folder: Path) -> None:
        self.store = store
        self.train = train
        self.device = device
        self.folder = folder
        self.count = 0

    def fit(self, settings: Model, epochs: int, batches: int) -> _Trial:
        """Train on so many batches, of blocks above trained heads one epoch; there is no refit."""
        from emopipe.audio.fitting import fit
        from emopipe.training.fitting import Run
        from emopipe.training.tracking import Tracker

        self.count += 1
        folder, conditions = self.folder / f"checkpoints-{self.count}", len(self.store.conditions)
        utterances = max(CLASSES, self.train.batch_size // conditions)  # of a batch, or so
        rows, dev = _table(batches * utterances), _table(DEV)
        changes = {
            "epochs": epochs, "tuning": self.train.tuning.model_copy(update={"epochs": 1}), "interpolation": 1.0,
            "refit": "none", "patience": None, "class_weights": "none",
        }  # fmt: skip
        own, run = self.train.model_copy(update=changes), Run(self.device, Tracker("trial"), folder)
        seconds, trained = _timed(lambda: fit(rows, dev, settings, own, self.store, run))
        return _Trial(seconds, len(rows) * conditions, trained, _size(folder))

    def predicted(self, trained: Trained) -> float:
        """Return the seconds of a processor that the prediction of an utterance takes."""
        from emopipe.audio.prediction import BATCH, predict

        utterances = _table(2 * BATCH)["utterance"]
        predict(trained.model, trained.settings, utterances[:DEV], self.store, self.device)
        seconds, _ = _timed(lambda: predict(trained.model, trained.settings, utterances, self.store, self.device))
        return seconds / len(utterances)

    def size(self, trained: Trained) -> int:
        """Return the bytes of a model on disk."""
        from emopipe.audio import saving

        folder = self.folder / f"model-{self.count}"
        saving.save(trained, folder)
        return _size(folder)


def _trainings(trials: _Trials, settings: Model) -> tuple[Epoch | None, Epoch | None, int, int]:
    """Return what an epoch of a head costs, and one of the blocks, and the bytes of model and checkpoints."""
    from emopipe.audio.model import of_members

    train, members = trials.train, settings.ensemble_size
    without_dev = _without_dev(settings, train)
    kept = 1 if train.refit == "all_epochs" else 2  # checkpoints of a member: the last one, and the best one
    heads = blocks = None
    if settings.features in ("frozen", "tuned_layers"):
        one, epochs = of_members(settings).model_copy(update={"ensemble_size": 1}), min(train.epochs, EPOCHS)
        first = trials.fit(one, 1, 1)  # it takes longer than those after it
        few, many = (trials.fit(one, epochs, batches) for batches in HEAD_BATCHES)
        example, predicted = few.example(many) / epochs, trials.predicted(first.trained)
        fixed = max(0.0, few.seconds / epochs - few.examples * example - DEV * predicted)
        heads = Epoch(fixed, example, predicted)
        model, checkpoints = members * trials.size(first.trained), without_dev * kept * first.checkpoints
    if settings.features != "frozen":
        tuned = heads is not None
        whole = settings if tuned else settings.model_copy(update={"ensemble_size": 1})
        first, few, many = (trials.fit(whole, 1, batches) for batches in (1, *BLOCK_BATCHES))
        example = few.example(many) - (members * heads.example if tuned else 0.0)  # of the heads before them
        blocks = Epoch(0.0, max(0.0, example), trials.predicted(first.trained))
        own, checkpoint = trials.size(first.trained), first.checkpoints
        model, checkpoints = (own, kept * checkpoint) if tuned else (members * own, without_dev * kept * checkpoint)
    if train.refit != "none":
        checkpoints += model
    return heads, blocks, model, checkpoints


def _without_dev(settings: Model, train: Train) -> int:
    """Return how many members are trained on the train set alone; with a refit all are trained on both sets beside."""
    return 1 if train.refit == "all_epochs" and settings.features != "tuned_layers" else settings.ensemble_size


def _table(utterances: int) -> pd.DataFrame:
    """Return rows of a split, as many as are wanted, of the clips there are; ratings are drawn at random."""
    numbers, rng = np.arange(utterances), np.random.default_rng(0)
    rows = {
        "utterance": [f"c/{i % CLIPS}" for i in numbers],
        "corpus": "c",
        "speaker": [f"c/{i % 2}" for i in numbers],
        "emotion": np.take(EMOTIONS, numbers % CLASSES),
    }
    return pd.DataFrame(rows | {name: rng.uniform(1, 5, utterances) for name in DIMENSIONS})


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Return the processor's time that something takes, and what it returns; what it prints is not shown."""
    began = time.process_time()
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        result = work()
    return time.process_time() - began, result


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
