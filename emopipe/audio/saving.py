"""A trained audio model on disk: weights without pickle, and all that is needed to predict."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

from torch import Tensor, nn

from emopipe.audio import adapters
from emopipe.audio.layers import layer_pooling
from emopipe.audio.model import AudioModel, Choice, Trained, TunedModel, of_members, trainable_blocks, tunable
from emopipe.audio.parameters import Model, Tuning
from emopipe.audio.tasks import restore
from emopipe.schemas import dev_answers
from emopipe.training.networks import Ensemble, count_trainable_parameters
from emopipe.training.saving import read_config, write_config, write_model
from emopipe.weights.files import load_strictly, read_state

FOLDER = Path("models/audio")
SINCE = {"output_layer": None}  # parameters that a model trained before they came does not name


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
        "train": trained.optimisation,
        "epochs": trained.epochs,
        "tuning": None if trained.choice is None else trained.choice._asdict(),
        "trainable_parameters": count_trainable_parameters(trained.model),
    }
    write_model(folder, _own_state(trained.model), config)


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
    settings, provenance = Model.model_validate(SINCE | config["model"]), config["provenance"]
    task, blocks = restore(settings, config), trainable_blocks(settings, provenance)
    tuned = settings.features == "tuned_layers"
    own = of_members(settings)
    layers = layer_pooling(own, provenance["blocks"] + 1, provenance["dim"])
    member = AudioModel(own, None if tuned else blocks, layers, provenance["dim"], task.outputs)
    model = Ensemble([deepcopy(member) for _ in range(settings.ensemble_size)])
    if tuned:
        tuning = Tuning.model_validate(config["train"]["tuning"])
        model = tunable(model, blocks, tuning, provenance["backbone"]["family"])
    state = read_state(folder)
    load_strictly(model, {name: model.state_dict()[name] for name in _not_ours(model)} | state, str(folder))
    if tuned and tuning.method == "lora":
        adapters.merge(model.blocks)
    choice = config.get("tuning") and Choice(**config["tuning"])
    temperature, epochs, answers = config["temperature"], config["epochs"], dev_answers.read(folder)
    return Trained(model.eval(), settings, config["train"], task, provenance, temperature, epochs, answers, choice)


def _own_state(model: nn.Module) -> dict[str, Tensor]:
    """Return all tensors but the backbone's that were not trained, as those beside low-rank changes are not."""
    not_ours = _not_ours(model)
    return {name: tensor for name, tensor in model.state_dict().items() if name not in not_ours}


def _not_ours(model: nn.Module) -> set[str]:
    if not isinstance(model, TunedModel):
        return set()
    return {f"blocks.{name}" for name, tensor in model.blocks.named_parameters() if not tensor.requires_grad}
