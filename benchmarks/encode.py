"""What computing the frozen part once saves: a training step from the store against the other ways.

    python -m benchmarks.encode                 # all families at full size, random weights
    python -m benchmarks.encode wavlm whisper   # some

For each family, in one run, on 8 clips of 4 s with the last 3 blocks trained:

- encode: the whole network once over every clip, which happens once for all epochs and experiments
- store: a training step from the store
- middle: the same with the three middle blocks, under a head on the layers (model.features: tuned_layers) and with what
  lies above them left off
- recompute: the same step, computing the frozen part again
- whole: the usual way: the published network, its convolutions frozen, trained on a zero-padded batch
  (Whisper's on 30 s a clip, as it is published)

Behind the network stand the mean over frames and a linear layer, so that the difference is the network's.

Beside them stands a float32 matrix product of the size that most of the network consists of, the frames of a clip by
a layer's two widths, on each of the threads: its rate is what encoding would reach if it did nothing else.

Times are medians over rounds in which the ways take turns, so that a slow moment of the machine meets them
all. Peak memory is that of a process that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch
import transformers
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.networks import FAMILIES, write
from emopipe.audio.batches import Collate, Example
from emopipe.audio.layers import ConcatMeans
from emopipe.audio.model import AudioModel, TunedModel
from emopipe.audio.parameters import Model
from emopipe.backbones.backbone import Backbone
from emopipe.backbones.loading import load
from emopipe.encoding import store
from emopipe.encoding.encoder import Encoder, in_threads
from emopipe.encoding.parameters import Encode
from emopipe.schemas.manifest import SAMPLE_RATE
from emopipe.training.networks import Ensemble, Network

CLIPS, SECONDS, TRAINABLE, CLASSES = 8, 4, 3, 4
WAYS = ("encode", "store", "middle", "recompute", "whole")
PRODUCT, PRODUCTS = "product", 50  # how often a thread computes the matrix product at a time
LABELS = torch.arange(CLIPS) % CLASSES


class Ways:
    """The ways for one network, and the matrix product."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(0)
        self.folder = folder
        self.backbone: Backbone = load(str(folder))
        self.clips = [torch.randn(SECONDS * SAMPLE_RATE) * 0.1 for _ in range(CLIPS)]
        plain = {"speed_perturbation": [], "conditions": [], "condition_draws": 1}
        settings = Encode(max_seconds=SECONDS, precision="float32", **plain)
        self.encoder = Encoder(self.backbone, TRAINABLE, settings, torch.device("cpu"))
        self.frames = len(self.backbone.front_end(self.clips[0]))

    def way(self, name: str) -> Callable[[], object]:
        """Return what does one pass or step; what it needs beforehand is done here."""
        match name:
            case "encode":
                return lambda: list(self.encoder(clip.numpy() for clip in self.clips))
            case "store":
                return self._from_store()
            case "middle":
                return self._middle()
            case "recompute":
                return self._recomputing()
            case "whole":
                return self._whole()
        return self._product()

    def operations(self, name: str) -> float:
        """Return the number of floating point operations of encoding, or of the matrix products."""
        if name == PRODUCT:
            return torch.get_num_threads() * PRODUCTS * 2 * self.frames * self.backbone.dim * 4 * self.backbone.dim
        with FlopCounterMode(display=False) as counter:
            for clip in self.clips:
                self.backbone.encode([clip], TRAINABLE)
        return counter.get_total_flops()

    def _product(self) -> Callable[[], object]:
        dim, threads = self.backbone.dim, torch.get_num_threads()
        layer = nn.Linear(dim, 4 * dim).requires_grad_(requires_grad=False)

        def products(x: Tensor) -> None:
            for _ in range(PRODUCTS):
                layer(x)

        return lambda: list(in_threads(products, [torch.randn(self.frames, dim)] * threads, threads))

    def _from_store(self) -> Callable[[], None]:
        return self._stepping(*self._model())

    def _stepping(self, model: Network, collate: Collate) -> Callable[[], None]:
        optimiser = _adamw(model)
        examples = [Example(row, label) for row, label in enumerate(LABELS.numpy())]

        def step() -> None:
            batch = collate(examples)
            _learn(optimiser, model(**{key: value for key, value in batch.items() if key != "labels"}))

        return step

    def _recomputing(self) -> Callable[[], None]:
        model, _ = self._model()
        optimiser = _adamw(model)
        last_frozen = self.backbone.block_count - TRAINABLE - 1

        def frozen(clip: Tensor) -> Tensor:
            states = self.backbone.blocks.states(self.backbone.front_end(clip)[None], None)
            return next(islice(states, last_frozen, None))[0]

        def step() -> None:
            with torch.no_grad():
                frames = torch.stack([frozen(clip) for clip in self.clips])
            _learn(optimiser, model(frames=frames, valid=torch.ones(frames.shape[:2], dtype=torch.bool)))

        return step

    def _model(self) -> tuple[AudioModel, Collate]:
        backbone, settings = self.backbone, self._settings("finetuned")
        opened = self._store(self.encoder, "store")
        model = AudioModel(settings, backbone.trainable_blocks(TRAINABLE), None, backbone.dim, CLASSES)
        return model.train(), Collate(opened, settings)

    def _middle(self) -> Callable[[], None]:
        backbone = load(str(self.folder))
        backbone.cut((backbone.block_count + TRAINABLE) // 2)
        opened = self._store(Encoder(backbone, TRAINABLE, self.encoder.settings, self.encoder.device), "middle")
        layers = ConcatMeans(opened.layers, opened.dim)
        head = AudioModel(self._settings("frozen"), None, layers, opened.dim, CLASSES)
        model = TunedModel(backbone.trainable_blocks(TRAINABLE), Ensemble([head]))
        return self._stepping(model.train(), Collate(opened, self._settings("tuned_layers")))

    def _settings(self, features: str) -> Model:
        return Model(
            task="classification", targets=["valence"], backbone=str(self.folder), output_layer=None,
            trainable_layers=TRAINABLE, features=features, layer_pooling="concat_means", pooling="mean", head="linear",
            hidden=1, head_layers=1, dropout=0.0, ensemble_size=1,
        )  # fmt: skip

    def _store(self, encoder: Encoder, name: str) -> store.Store:
        where, backbone = self.folder / name, encoder.backbone
        stored = (
            store.StoredEncoding(f"c/{i}", store.ORIGINAL, frames.numpy(), layers.numpy())
            for i, (frames, layers) in enumerate(encoder(clip.numpy() for clip in self.clips))
        )
        store.write(where, stored, backbone.dim, backbone.block_count + 1, encoder.provenance)
        return store.Store(where)

    def _whole(self) -> Callable[[], None]:
        network, forward = _published(self.folder)
        head = nn.Linear(self.backbone.dim, CLASSES)
        optimiser = _adamw(nn.ModuleList([network, head]))
        batch = torch.stack(self.clips)

        def step() -> None:
            _learn(optimiser, head(forward(batch).mean(1)))

        return step


def _published(folder: Path) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """Return the published network in training mode, convolutions frozen, and its forward pass over samples."""
    if (folder / "config.yaml").is_file():
        import yaml
        from funasr.models.emotion2vec.model import Emotion2vec

        network = Emotion2vec(model_conf=yaml.safe_load((folder / "config.yaml").read_text())["model_conf"])
        network.modality_encoders["AUDIO"].local_encoder.requires_grad_(requires_grad=False)
        return network.train(), lambda samples: network.extract_features(samples, padding_mask=None)["x"]
    network = transformers.AutoModel.from_pretrained(folder)
    if network.config.model_type == "whisper":
        network = network.encoder
        for part in (network.conv1, network.conv2):
            part.requires_grad_(requires_grad=False)
        extractor = transformers.WhisperFeatureExtractor.from_pretrained(folder)

        def forward(samples: Tensor) -> Tensor:
            features = extractor(list(samples.numpy()), sampling_rate=SAMPLE_RATE, return_tensors="pt")
            return network(features.input_features).last_hidden_state

        return network.train(), forward
    network.feature_extractor._freeze_parameters()  # what freeze_feature_encoder() of the task models calls
    return network.train(), lambda samples: network(samples).last_hidden_state


def _adamw(module: nn.Module) -> torch.optim.AdamW:
    return torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=1e-5, fused=True)


def _learn(optimiser: torch.optim.AdamW, scores: Tensor) -> None:
    loss = nn.functional.cross_entropy(scores.view(CLIPS, CLASSES), LABELS)
    loss.backward()
    optimiser.step()
    optimiser.zero_grad()


def _times(folder: Path, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return the median time of each way, in seconds, and the rates of encoding and of products, in GFLOP/s."""
    ways = Ways(folder)
    steps = {name: ways.way(name) for name in (*WAYS, PRODUCT)}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if turn:  # the first round warms up
                times[name].append(time.perf_counter() - began)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return medians, {name: ways.operations(name) / medians[name] / 1e9 for name in ("encode", PRODUCT)}


def _memory(folder: Path, way: str) -> float:
    """Return the peak memory of this process after two steps, in GiB."""
    step = Ways(folder).way(way)
    step()
    step()
    # Not getrusage: its peak begins with the process that started this one.
    (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(peak) / 2**20


def _row(family: str, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = write(family, Path(place) / family)
        times, rates = _times(folder, rounds)
        memory = {}
        for way in WAYS:
            command = [sys.executable, "-m", "benchmarks.encode", "--memory", way, str(folder)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
            memory[way] = json.loads(done.stdout.splitlines()[-1])
    cells = [f"{times['encode'] / CLIPS / SECONDS:.4f}", *(f"{times[way]:.2f}" for way in WAYS[1:])]
    cells += [f"{times[way] / times['store']:.1f}x" for way in WAYS[2:]]
    cells += [f"{memory[way]:.1f}" for way in WAYS]
    cells += [f"{rates['encode']:.0f}", f"{rates[PRODUCT]:.0f}", f"{rates['encode'] / rates[PRODUCT]:.0%}"]
    print(f"| {family} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.encode", description=__doc__.split("\n")[0])
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"of {', '.join(FAMILIES)}; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if arguments.memory:
        print(json.dumps(_memory(Path(arguments.families[0]), arguments.memory)))
        return
    titles = (
        "family", "encode, s per s of audio", "step from the store, s", "middle blocks", "recomputing the frozen part",
        "whole network", "middle / store", "recomputing / store", "whole / store", "GiB: encode", "store", "middle",
        "recompute", "whole", "GFLOP/s: encode",
        "matrix product", "share of it",
    )  # fmt: skip
    print(f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|")
    for family in arguments.families or FAMILIES:
        _row(family, arguments.rounds)


if __name__ == "__main__":
    main()
