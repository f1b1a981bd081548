"""A trained audio model on disk: weights without pickle, and all that is needed to predict."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from emopipe.audio.layers import layer_pooling
from emopipe.audio.model import AudioModel
from emopipe.audio.parameters import Model, Train
from emopipe.audio.tasks import Task, restore
from emopipe.backbones.backbone import Suffix
from emopipe.backbones.loading import reload_verified
from emopipe.training.network import Ensemble, count_trainable_parameters
from emopipe.training.saving import read_config, write_config, write_model
from emopipe.weights.files import load_strictly, read_state

FOLDER = Path("models/audio")


class Trained(NamedTuple):
    """A trained model and what it was trained for."""

    model: Ensemble
    settings: Model
    optimisation: Train
    task: Task
    encoding: dict[str, Any]  # of the store it was trained on
    temperature: float | None  # that calibrates its probabilities, fitted on the dev set
    epochs: list[int]  # whose weights the members have, from 1


def trainable_blocks(settings: Model, encoding: dict[str, Any]) -> Suffix | None:
    """Return the pretrained blocks that an encoded store leaves to training; None where they are not used.

    Raises:
        UserError: if the backbone's weights are no longer those that made the store
    """
    if settings.features == "frozen":
        return None
    return reload_verified(encoding["backbone"]).suffix(encoding["trainable_layers"])


def save(trained: Trained, folder: Path = FOLDER) -> None:
    """Write ``model.safetensors`` and ``config.json``; the same model gives the same bytes."""
    config = {
        **trained.task.config(),
        "goal": trained.task.goal.name,
        "model": trained.settings.model_dump(),
        "encoding": trained.encoding,
        "temperature": trained.temperature,
        "train": trained.optimisation.model_dump(),
        "epochs": trained.epochs,
        "trainable_parameters": count_trainable_parameters(trained.model),
    }
    write_model(folder, trained.model, config)


def save_none(folder: Path = FOLDER) -> None:
    """Write that there is no model, because the audio branch has no utterances."""
    write_config(folder, {"model": None})


def load(folder: Path = FOLDER) -> Trained | None:
    """Load a model for prediction; None where the audio branch has no utterances.

    Raises:
        UserError: if weights are missing, or are not those of the configuration
    """
    config = read_config(folder, "finetune_audio")
    if config["model"] is None:
        return None
    settings, encoding = Model.model_validate(config["model"]), config["encoding"]
    task = restore(settings, config)
    mix = layer_pooling(settings, encoding["blocks"] + 1, encoding["dim"])
    member = AudioModel(settings, trainable_blocks(settings, encoding), mix, encoding["dim"], task.outputs)
    model = Ensemble([deepcopy(member) for _ in range(settings.ensemble_size)])
    load_strictly(model, read_state(folder), str(folder))
    optimisation = Train.model_validate(config["train"])
    return Trained(model.eval(), settings, optimisation, task, encoding, config["temperature"], config["epochs"])
