"""What robust training buys and costs: heads on frozen layers, trained as recorded, and under conditions too.

    python -m benchmarks.robust_training FOLDER --corpora emodb:/data/emodb my.csv
        [--backbone whisper_tiny_en] [--folds 5] [--seeds 42] [--ways recorded speed all] [--set KEY=VALUE ...]

Each corpus is trained on alone. Its speakers are dealt to the folds; a fold is tested by a model that was trained on
the others, with the parameters of params.yaml, those of the way and those of --set. Every way is tested on the same
recordings: as they are, under all conditions of noise, codecs and rooms, and under two of the small changes. Training
and test draw apart from each other: another seed, and other rooms.

Encodings and answers are kept in the folder, which is that of one choice of corpora, folds and --set, and those that
are there are not made again: a study that is stopped goes on, and takes more ways, seeds and backbones in.
At its end a table is printed, of each backbone, corpus and way:

* UAR on the recordings as they are, its difference from training on them as recorded with a 95 % interval over
  speakers;
* the mean loss of UAR over the conditions of each group, and over all of them; the difference of the mean UAR under
  them, with its interval;
* the share of answers that do not change under faint white noise, and with zeros in front (published: more than 0.95).
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from tqdm import tqdm

from benchmarks.finetuning import FEWEST, dealt, write_params
from emopipe.audio.batches import Collate, examples
from emopipe.audio.fitting import fit
from emopipe.audio.model import Trained
from emopipe.audio.parameters import Model, Train
from emopipe.audio.prediction import BATCH
from emopipe.backbones.parameters import BackboneChoice
from emopipe.conditions.catalogue import CONDITIONS, FULL, apply
from emopipe.encoding import store
from emopipe.encoding.corpus import encode_corpus
from emopipe.encoding.encoder import Encoder
from emopipe.encoding.parameters import Encode
from emopipe.encoding.store import ORIGINAL, Store, StoredEncoding
from emopipe.parameters import Runtime
from emopipe.recordings import resampled
from emopipe.recordings.resampled import MANIFEST
from emopipe.schemas.manifest import read_manifest
from emopipe.scoring.classification import unweighted_average_recall
from emopipe.scoring.paired import Difference, classification_difference
from emopipe.training import data
from emopipe.training.devices import set_up
from emopipe.training.fitting import Run
from emopipe.training.tracking import Tracker
from stages import fetch, resample

SEED = 1  # of the test; training draws from another one
GROUPS = ("noise", "codec", "room")
SMALL = ("faint_white_noise", "prepend_zeros")
TESTED = [(name, level) for name, level in FULL if CONDITIONS[name].group in GROUPS or name in SMALL]
REFERENCE = "recorded"
NOISE, CODECS, ROOMS = ["gaussian_noise"], ["low_quality_phone", "mp3", "opus", "vorbis"], ["room"]
ALL = [*SMALL, *NOISE, *CODECS, *ROOMS]
WAYS: dict[str, dict[str, Any]] = {
    REFERENCE: {},
    "repeated": {"train.epochs": 20},  # as many steps as with a second version of every utterance
    "speed": {"encode.speed_perturbation": [0.9]},
    "noise": {"encode.conditions": NOISE},
    "codecs": {"encode.conditions": CODECS},
    "rooms": {"encode.conditions": ROOMS},
    "all": {"encode.conditions": ALL},
    "all, three draws": {"encode.conditions": ALL, "encode.condition_draws": 3},
    "all, six draws": {"encode.conditions": ALL, "encode.condition_draws": 6},
}


def main() -> None:
    """Make what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="that keeps encodings and answers")
    parser.add_argument("--corpora", nargs="+", required=True, help="as in data.audio.corpora")
    parser.add_argument("--backbone", default="whisper_tiny_en")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="other parameters")
    arguments = parser.parse_args()
    given = {key: yaml.safe_load(value) for key, value in (pair.split("=", 1) for pair in arguments.set)}
    common = {
        "data.audio.corpora": arguments.corpora, "data.text.corpora": None, "model.backbone": arguments.backbone,
        "model.features": "frozen",
    }  # fmt: skip
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(arguments.folder):
        write_params(common | given)
        if not MANIFEST.exists():
            fetch.main()
            resample.main()
        tested = _tested_store(Path(arguments.backbone).name)
        for seed in arguments.seeds:
            for way in arguments.ways:
                write_params(common | given | WAYS[way] | {"train.seed": seed})
                _run(way, seed, arguments.folds, tested)
        print(table(pd.concat([pd.read_csv(path) for path in sorted(Path("answers").glob("*.csv"))])))


def _tested_store(name: str) -> Store:
    """Return the store of the recordings as they are and under the conditions that are tested."""
    folder = Path("encoded", f"{name}-tested")
    if not folder.exists():
        encoder = Encoder.load(BackboneChoice.load(), Encode.load(), set_up(Runtime.load(), seed=0))
        utterances = read_manifest(MANIFEST)["utterance"]
        versions = [(ORIGINAL, ""), *TESTED]
        keys = [(utterance, *version) for version in versions for utterance in utterances]
        waveforms = (
            _under(*version, resampled.samples(file), utterance)
            for version in versions
            for utterance, file in zip(utterances, resampled.files(utterances), strict=True)
        )
        encoded = zip(keys, encoder(tqdm(waveforms, total=len(keys), disable=None)), strict=True)
        encodings = (
            StoredEncoding(utterance, _key(condition, level), frames.numpy(), statistics.numpy())
            for (utterance, condition, level), (frames, statistics) in encoded
        )
        backbone = encoder.backbone
        store.write(folder, encodings, backbone.dim, backbone.block_count + 1, encoder.provenance, with_frames=False)
    return Store(folder)


def _key(condition: str, level: str) -> str:
    return f"{condition}/{level}" if level else condition


def _under(name: str, level: str, samples: np.ndarray, utterance: str) -> np.ndarray:
    """Return samples under a condition that is tested; rooms are others than those of the training."""
    return samples if name == ORIGINAL else apply(name, level, samples, utterance, SEED)


def _run(way: str, seed: int, folds: int, tested: Store) -> None:
    """Answer what is missing, by the parameters of params.yaml."""
    model, train, runtime = Model.load(), Train.load(), Runtime.load()
    manifest = read_manifest(MANIFEST)
    counts = manifest.groupby(["corpus", "emotion"])["emotion"].transform("size")
    rows = manifest[counts >= FEWEST].assign(fold=dealt(manifest, folds))
    backbone = Path(model.backbone).name
    for corpus, own in rows.groupby("corpus"):
        path = Path("answers", f"{backbone}-{corpus}-{way}-{seed}.csv")
        if path.exists():
            continue
        encoded, device, found = _store(backbone), set_up(runtime, seed), []
        for fold in range(folds):
            dev, test = own[own["fold"] == (fold + 1) % folds], own[own["fold"] == fold]
            rest = own.drop([*dev.index, *test.index])
            where = Path("checkpoints", path.stem, str(fold))
            trained = fit(rest, dev, model, train, encoded, Run(device, Tracker(way), where, runtime.threads))
            for condition in tested.conditions:
                answers = test[["utterance", "corpus", "speaker", "emotion"]].assign(
                    backbone=backbone, way=way, seed=seed, fold=fold, condition=condition,
                    prediction=_answers(trained, test, tested, condition),
                )  # fmt: skip
                found.append(answers)
        path.parent.mkdir(exist_ok=True)
        pd.concat(found).to_csv(path, index=False)


def _answers(trained: Trained, test: pd.DataFrame, tested: Store, condition: str) -> np.ndarray:
    dataset = examples(test["utterance"], np.zeros(len(test)), tested, (condition,))
    collate = Collate(tested, trained.settings)
    outputs = data.predict(trained.model, dataset, collate, BATCH, next(trained.model.parameters()).device)
    return np.array(trained.task.names)[outputs.argmax(1)]


def _store(backbone: str) -> Store:
    """Return the store that is trained on, encoded where there is none yet."""
    choice, settings, runtime = BackboneChoice.load(), Encode.load(), Runtime.load()
    versions = [f"{speed:g}" for speed in settings.speed_perturbation] + settings.conditions
    versions += [f"{settings.condition_draws}"] * (settings.condition_draws > 1)
    folder = Path("encoded", "-".join([backbone, *versions]))
    if not folder.exists():
        encoder = Encoder.load(choice, settings, set_up(runtime, seed=0))
        encode_corpus(
            encoder, MANIFEST, with_frames=False, parts=folder.with_name(f"{folder.name}.parts"), folder=folder
        )
    return Store(folder)


def table(answers: pd.DataFrame) -> str:
    """Return the table in Markdown."""
    lines = [
        f"| backbone | corpus | way | UAR | beside {REFERENCE} | loss: noise | codec | room | all | UAR under all, "
        f"beside {REFERENCE} | unchanged: noise | zeros |",
        "|---" * 12 + "|",
    ]
    for (backbone, corpus), own in answers.groupby(["backbone", "corpus"], sort=False):
        reference = _Runs(own[own["way"] == REFERENCE])
        ways = [way for way in WAYS if (own["way"] == way).any()]
        lines += [_line(str(backbone), str(corpus), way, _Runs(own[own["way"] == way]), reference) for way in ways]
    return "\n".join(lines)


class _Runs:
    """The answers of a way, by condition: a list of them for each seed."""

    def __init__(self, answers: pd.DataFrame) -> None:
        self.truth = answers.drop_duplicates("utterance").set_index("utterance").sort_index()
        wide = answers.pivot(index="utterance", columns=["condition", "seed"], values="prediction").sort_index()
        self.of = {str(name): wide[name].T.to_numpy().tolist() for name in wide.columns.unique(0)}

    def uar(self, condition: str) -> float:
        return float(np.mean([unweighted_average_recall(self.truth["emotion"], run) for run in self.of[condition]]))

    def loss(self, groups: tuple[str, ...]) -> float:
        return self.uar(ORIGINAL) - float(np.mean([self.uar(name) for name in _names(groups)]))

    def unchanged(self, name: str) -> float:
        (condition,) = (key for key in self.of if key.startswith(name))
        return float(np.mean(np.array(self.of[condition]) == np.array(self.of[ORIGINAL])))

    def beside(self, other: _Runs, conditions: list[str]) -> Difference:
        """Return the difference of the mean UAR under conditions: the UAR of all answers under them together."""
        truth, speakers = (np.tile(self.truth[name], len(conditions)) for name in ("emotion", "speaker"))
        own, others = (np.hstack([runs.of[name] for name in conditions]).tolist() for runs in (self, other))
        return classification_difference(truth, own, others, speakers)["uar"]


def _names(groups: tuple[str, ...]) -> list[str]:
    return [_key(name, level) for name, level in TESTED if CONDITIONS[name].group in groups]


def _line(backbone: str, corpus: str, way: str, runs: _Runs, reference: _Runs) -> str:
    cells = [backbone, corpus, way, f"{runs.uar(ORIGINAL):.3f}", _told(runs.beside(reference, [ORIGINAL]))]
    cells += [f"{runs.loss((group,)):.3f}" for group in GROUPS]
    cells += [f"{runs.loss(GROUPS):.3f}", _told(runs.beside(reference, _names(GROUPS)))]
    cells += [f"{runs.unchanged(name):.3f}" for name in SMALL]
    return f"| {' | '.join(cells)} |"


def _told(found: Difference) -> str:
    if found.low is None or found.high is None:  # as of one way beside itself, or of a single speaker
        return f"{found.value:+.3f}"
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


if __name__ == "__main__":
    main()
