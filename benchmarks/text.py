"""What short batches buy: training on EmoBank with batches of about one length, padded to their longest, against 128.

    python -m benchmarks.text FOLDER      # that holds emobank.csv

A training step of the regressor on the embedded encoder, as params.yaml says. The batches are evenly chosen from those
of an epoch:

- dynamic: as the pipeline makes them, of texts of about one length, each padded to its longest
- fixed: shuffled, every text padded to 128 tokens

The ways take turns, so that a slow moment of the machine meets both; rates are those of all rounds together.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
import transformers

from emopipe.corpora import emobank
from emopipe.losses.regression import REGRESSION_LOSSES
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.text import encoders
from emopipe.text.batches import Collate, examples
from emopipe.text.parameters import Text
from emopipe.text.regressor import Regressor
from emopipe.training.data import Batch
from emopipe.training.optimiser import adamw
from emopipe.training.trainer import ByLength

TOKENS = 128
PARAMS = Path(__file__).parent.parent / "params.yaml"


def batches(folder: Path, settings: Text, pretrained: encoders.Pretrained, count: int) -> dict[str, list[Batch]]:
    """Return the batches of either way."""
    rows = emobank.read(folder)
    rows = rows[rows["split"] == "train"]
    vad = rows[list(DIMENSIONS)].to_numpy(dtype=np.float64) - 3
    dataset = examples(rows["transcript"], pretrained.tokenizer, TOKENS, vad)
    orders = {
        "dynamic": list(ByLength(settings.batch_size, dataset.lengths, settings.seed)),
        "fixed": np.random.default_rng(settings.seed).permutation(len(dataset)).tolist(),
    }
    collate, made = Collate(pretrained.tokenizer), {}
    for way, order in orders.items():
        starts = range(0, len(order) - settings.batch_size + 1, settings.batch_size)
        chosen = [starts[i] for i in np.linspace(0, len(starts) - 1, count).round().astype(int)]
        made[way] = [collate([dataset[i] for i in order[s : s + settings.batch_size]]) for s in chosen]
    made["fixed"] = [_to(TOKENS, batch, pretrained.tokenizer) for batch in made["fixed"]]
    return made


def _to(tokens: int, batch: Batch, tokenizer: transformers.PreTrainedTokenizerBase) -> Batch:
    labels = batch.pop("labels")
    return {**tokenizer.pad(batch, padding="max_length", max_length=tokens, return_tensors="pt"), "labels": labels}


def main() -> None:
    """Print the rate of both ways and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.text", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="of emobank.csv")
    parser.add_argument("--batches", type=int, default=10, help="of either way in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers.set_seed(0)
    settings = Text.load(path=PARAMS).model_copy(update={"encoder": encoders.EMBEDDED})
    pretrained = encoders.load(settings.encoder)
    made = batches(arguments.folder, settings, pretrained, arguments.batches)
    model, loss = Regressor(pretrained.encoder, settings).train(), REGRESSION_LOSSES[settings.loss]
    optimiser = adamw(model.parameter_groups(), settings)
    seconds = dict.fromkeys(made, 0.0)
    for turn in range(arguments.rounds + 1):
        for way, own in made.items():
            began = time.perf_counter()
            for batch in own:
                outputs = model(**{name: value for name, value in batch.items() if name != "labels"})
                loss(outputs, batch["labels"]).backward()
                optimiser.step()
                optimiser.zero_grad()
            if turn:  # the first round warms up
                seconds[way] += time.perf_counter() - began
    texts = arguments.rounds * arguments.batches * settings.batch_size
    for way, own in made.items():
        width = np.mean([batch["input_ids"].shape[1] for batch in own])
        print(f"{way}: {texts / seconds[way]:.1f} texts/s, batches {width:.0f} tokens wide on average")
    print(f"ratio {seconds['fixed'] / seconds['dynamic']:.2f}")


if __name__ == "__main__":
    main()
