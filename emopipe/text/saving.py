"""A trained text regressor on disk: weights without pickle, and all that is needed to predict."""

from __future__ import annotations

from copy import deepcopy
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import AutoConfig, AutoTokenizer, PreTrainedTokenizerBase

from emopipe.io.outputs import reporting_faults
from emopipe.text.encoders import build, match
from emopipe.text.parameters import Text
from emopipe.text.regressor import METRIC, Regressor
from emopipe.training.networks import Ensemble, TargetScaler
from emopipe.training.saving import read_config, write_config, write_model
from emopipe.weights.files import Origin, load_strictly, read_state

FOLDER = Path("models/text")


class Trained(NamedTuple):
    """A trained regressor, and what it came from."""

    model: Ensemble  # of regressors
    tokenizer: PreTrainedTokenizerBase
    settings: Text
    targets: TargetScaler  # the scale of its outputs
    origin: Origin  # of the encoder before training
    epochs: list[int]  # whose weights the members have, from 1
    rows: int  # utterances it was trained on


def save(trained: Trained, folder: Path = FOLDER) -> None:
    """Write ``model.safetensors``, ``config.json`` and ``tokenizer/``; the same model gives the same bytes."""
    with reporting_faults(folder / "tokenizer"):
        trained.tokenizer.save_pretrained(folder / "tokenizer")
    write_model(
        folder,
        trained.model.state_dict(),
        {
            "rows": trained.rows,
            "epochs": trained.epochs,
            "selection_metric": METRIC,
            "text": trained.settings.model_dump(),
            "targets": {"mean": trained.targets.mean.tolist(), "std": trained.targets.std.tolist()},
            "encoder": trained.origin.provenance(),
            "versions": {package: metadata.version(package) for package in ("torch", "transformers")},
            "encoder_config": trained.model.members[0].encoder.config.to_diff_dict(),
        },
    )


def save_none(folder: Path = FOLDER) -> None:
    """Write that there is no regressor, because the text branch has no utterances."""
    write_config(folder, {"rows": 0})


def load(folder: Path = FOLDER) -> Trained | None:
    """Load a regressor for prediction, from its folder alone; None where the text branch has no utterances.

    Raises:
        UserError: if weights are missing, or are not those of the configuration
    """
    config = read_config(folder, "finetune_text")
    if config["rows"] == 0:
        return None
    settings = Text.model_validate(config["text"])
    with torch.random.fork_rng():  # the network is built with random weights first
        encoder = build(AutoConfig.for_model(**config["encoder_config"]))
        model = Ensemble([Regressor(deepcopy(encoder), settings) for _ in range(settings.ensemble_size)])
    load_strictly(model, read_state(folder), str(folder))
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    match(tokenizer, encoder)
    targets, origin = TargetScaler(**config["targets"]), Origin(**config["encoder"])
    return Trained(model.eval(), tokenizer, settings, targets, origin, config["epochs"], config["rows"])
