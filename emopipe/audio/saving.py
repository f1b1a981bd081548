"""A trained audio model on disk: weights without pickle, and all that is needed to predict."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

from emopipe.audio.layers import layer_pooling
from emopipe.audio.model import AudioModel, Trained, trainable_blocks
from emopipe.audio.parameters import Model, Train
from emopipe.audio.tasks import restore
from emopipe.schemas import dev_answers
from emopipe.training.networks import Ensemble, count_trainable_parameters
from emopipe.training.saving import read_config, write_config, write_model
from emopipe.weights.files import load_strictly, read_state

FOLDER = Path("models/audio")


def save(trained: Trained, folder: Path = FOLDER) -> None:
    """Write ``model.safetensors``, ``config.json`` and, of a classification, ``dev.safetensors``.

    The same model gives the same bytes.
    """
    dev_answers.write(trained.dev, folder)
    config = {
        **trained.task.config(),
        "selection_metric": trained.task.metric,
        "model": trained.settings.model_dump(),
        "provenance": trained.provenance,
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
    settings, provenance = Model.model_validate(config["model"]), config["provenance"]
    task, optimisation = restore(settings, config), Train.model_validate(config["train"])
    layers = layer_pooling(settings, provenance["blocks"] + 1, provenance["dim"])
    member = AudioModel(settings, trainable_blocks(settings, provenance), layers, provenance["dim"], task.outputs)
    model = Ensemble([deepcopy(member) for _ in range(settings.ensemble_size)])
    load_strictly(model, read_state(folder), str(folder))
    temperature, epochs = config["temperature"], config["epochs"]
    return Trained(
        model.eval(), settings, optimisation, task, provenance, temperature, epochs, dev_answers.read(folder)
    )
