"""What fine-tuning buys: heads on frozen layers against ways of training the blocks below them, on speakers unheard.

    python -m benchmarks.finetuning predictions.csv --corpora emodb:/data/emodb ravdess:/data/ravdess my.csv
        [--backbone whisper_tiny_en] [--seeds 42 43 44] [--folds 6] [--ways frozen weights lora] [--set KEY=VALUE ...]

All corpora are trained on together. The speakers of each are dealt to the folds; a fold is tested by a model that was
trained on the others, of which the next one is its dev set. A fold is one run of the pipeline's own training, with the
parameters of params.yaml and those of --set; what is frozen is encoded once.

Predictions are added to the file as the folds come, and those that are there are not made again: a study that is
stopped goes on. At its end a table is printed: for each way and corpus the UAR of all predictions together, the mean
over the seeds, its difference from the frozen heads with a 95 % interval over speakers, the mean share of the change
that was kept, and the CPU seconds of a fold, the training alone.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from emopipe.audio.fitting import fit
from emopipe.audio.parameters import Model, Train
from emopipe.audio.prediction import predict
from emopipe.backbones.parameters import BackboneChoice
from emopipe.encoding.corpus import encode_corpus
from emopipe.encoding.encoder import Encoder
from emopipe.encoding.parameters import Encode
from emopipe.encoding.store import Store
from emopipe.parameters import Runtime
from emopipe.recordings.resampled import MANIFEST
from emopipe.schemas.manifest import read_manifest
from emopipe.scoring.classification import unweighted_average_recall
from emopipe.scoring.paired import classification_difference
from emopipe.training.devices import set_up
from emopipe.training.fitting import Run
from emopipe.training.tracking import Tracker
from stages import fetch, resample

PARAMS = Path(__file__).parent.parent / "params.yaml"
REFERENCE = "frozen"
TUNED = {"model.features": "tuned_layers", "model.trainable_layers": 2}
WAYS: dict[str, dict[str, Any]] = {
    "frozen": {"model.features": "frozen"},
    "weights": TUNED,
    "l2_sp": TUNED | {"train.tuning.l2_sp": 100},
    "lora": TUNED | {"train.tuning.method": "lora", "train.tuning.learning_rate": 1e-3},
    "last block": {"model.features": "finetuned", "model.ensemble_size": 1},
}  # fmt: skip
FEWEST = 5  # utterances of an emotion in a corpus; EmoDB's public part has one of each of three


def main() -> None:
    """Run the folds that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("predictions", type=Path, help="CSV file that keeps the predictions")
    parser.add_argument("--corpora", nargs="+", required=True, help="as in data.audio.corpora")
    parser.add_argument("--backbone", default="whisper_tiny_en", help="as in model.backbone")
    parser.add_argument("--seeds", nargs="+", type=int, default=[42, 43, 44])
    parser.add_argument("--folds", type=int, default=6)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="other parameters")
    arguments = parser.parse_args()
    given = {key: yaml.safe_load(value) for key, value in (pair.split("=", 1) for pair in arguments.set)}
    corpora = {"data.audio.corpora": arguments.corpora, "data.text.corpora": None, "model.backbone": arguments.backbone}
    kept = arguments.predictions.absolute()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        write_params(corpora | given)
        fetch.main()
        resample.main()
        for seed in arguments.seeds:
            for way in arguments.ways:
                write_params(corpora | WAYS[way] | given | {"train.seed": seed})
                _run(kept, way, seed, arguments.folds)
    print(table(pd.read_csv(kept)))


def write_params(changes: Mapping[str, Any]) -> None:
    """Write params.yaml with other values."""
    params = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    for key, value in changes.items():
        *groups, name = key.split(".")
        group = params
        for part in groups:
            group = group[part]
        if name not in group:
            raise SystemExit(f"{key}: no such parameter")
        group[name] = value
    Path("params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def dealt(manifest: pd.DataFrame, folds: int) -> pd.Series:
    """Return the number of the fold of every utterance: each corpus's speakers in turn."""
    speakers = manifest[["corpus", "speaker"]].drop_duplicates().sort_values(["corpus", "speaker"])
    numbers = pd.Series(np.arange(len(speakers)) % folds, speakers["speaker"])
    return manifest["speaker"].map(numbers)


def _run(kept: Path, way: str, seed: int, folds: int) -> None:
    """Make the predictions of the folds that are missing, by the parameters of params.yaml."""
    model, train, runtime = Model.load(), Train.load(), Runtime.load()
    rows = _rows(folds)
    done = pd.read_csv(kept) if kept.exists() else pd.DataFrame(columns=["way", "backbone", "seed", "fold"])
    for fold in range(folds):
        same = (done["way"] == way) & (done["backbone"] == model.backbone) & (done["seed"] == seed)
        if (same & (done["fold"] == fold)).any():
            continue
        store, device = _store(), set_up(runtime, seed)
        train_rows, dev, test = (
            rows[~rows["fold"].isin([fold, (fold + 1) % folds])],
            rows[rows["fold"] == (fold + 1) % folds],
            rows[rows["fold"] == fold],
        )
        where = Path("checkpoints", way, str(seed), str(fold))
        began = time.process_time()
        trained = fit(train_rows, dev, model, train, store, Run(device, Tracker(way), where, runtime.threads))
        seconds = time.process_time() - began
        outputs = predict(trained.model, trained.settings, test["utterance"], store, device)
        found = test[["utterance", "corpus", "speaker", "emotion"]].assign(
            prediction=np.array(trained.task.names)[outputs.argmax(1)],
            way=way, backbone=model.backbone, seed=seed, fold=fold, seconds=round(seconds, 1),
            share=trained.choice.share if trained.choice else 0.0,
        )  # fmt: skip
        found.to_csv(kept, mode="a", index=False, header=not kept.exists())


def _rows(folds: int) -> pd.DataFrame:
    manifest = read_manifest(MANIFEST)
    counts = manifest.groupby(["corpus", "emotion"])["emotion"].transform("size")
    return manifest[counts >= FEWEST].assign(fold=dealt(manifest, folds))


def _store() -> Store:
    """Return the store of this backbone, with frames, encoded where there is none yet."""
    choice, settings, runtime = BackboneChoice.load(), Encode.load(), Runtime.load()
    folder = Path(f"encoded-{choice.output_layer}-{choice.trainable_layers}")
    if not folder.exists():
        encoder = Encoder.load(choice, settings, set_up(runtime, seed=0))
        encode_corpus(encoder, MANIFEST, with_frames=True, parts=Path("parts"), folder=folder)
    return Store(folder)


def table(predictions: pd.DataFrame) -> str:
    """Return the table in Markdown."""
    lines = [
        "| backbone | tested on | way | UAR | beside frozen | share | CPU s a fold |",
        "|---|---|---|---|---|---|---|",
    ]
    corpora = sorted(predictions["corpus"].unique())
    for backbone, own in predictions.groupby("backbone", sort=False):
        for corpus in [*corpora, "all"] if len(corpora) > 1 else corpora:
            tested = own if corpus == "all" else own[own["corpus"] == corpus]
            for way in tested["way"].unique():
                lines.append(_line(tested, str(backbone), corpus, way))
    return "\n".join(lines)


def _line(tested: pd.DataFrame, backbone: str, corpus: str, way: str) -> str:
    truth, runs = _runs(tested, way)
    uar = np.mean([unweighted_average_recall(truth["emotion"], run) for run in runs])
    beside = ""
    if way != REFERENCE and (tested["way"] == REFERENCE).any():
        _, others = _runs(tested, REFERENCE)
        found = classification_difference(truth["emotion"], runs, others, truth["speaker"])["uar"]
        beside = f"{found.value:+.3f} [{found.low:.3f}, {found.high:.3f}]"
    share, seconds = tested[tested["way"] == way].groupby(["seed", "fold"])[["share", "seconds"]].first().mean()
    cells = (
        Path(backbone).name,
        corpus,
        f"{way} ({len(runs)})",
        f"{uar:.3f}",
        beside,
        f"{share:.2f}",
        f"{seconds:.0f}",
    )
    return f"| {' | '.join(cells)} |"


def _runs(tested: pd.DataFrame, way: str) -> tuple[pd.DataFrame, list[list[str]]]:
    """Return the utterances, and what each seed that is whole says of them."""
    own = tested[tested["way"] == way]
    truth = tested.drop_duplicates("utterance").set_index("utterance").sort_index()
    by_seed = own.pivot(index="utterance", columns="seed", values="prediction").reindex(truth.index)
    return truth, [by_seed[seed].tolist() for seed in by_seed if by_seed[seed].notna().all()]


if __name__ == "__main__":
    main()
