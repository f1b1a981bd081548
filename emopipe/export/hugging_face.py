"""A trained audio model as transformers loads it: by a class of its own where there is one, else by our file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from emopipe.audio.model import AudioModel, TunedModel
from emopipe.audio.tasks import Regression
from emopipe.backbones.backbone import Backbone
from emopipe.backbones.catalogue import base_model
from emopipe.backbones.convolutional import Convolutional, norms_last
from emopipe.backbones.whisper import Whisper
from emopipe.export import card, material, metadata, verification
from emopipe.export.outcome import REPORT, Exported, report, require
from emopipe.io.errors import UserError
from emopipe.io.outputs import reporting_faults, write_json, write_text
from emopipe.recognition.speech import Recognizer
from emopipe.schemas import splits

if TYPE_CHECKING:
    from transformers import PreTrainedModel, Wav2Vec2FeatureExtractor

CODE = Path(__file__).with_name("modeling_emopipe.py")
STOCK = {  # classes of transformers that hold a classifier, by the kind of the encoder
    "wav2vec2": "Wav2Vec2ForSequenceClassification",
    "hubert": "HubertForSequenceClassification",
    "wavlm": "WavLMForSequenceClassification",
    "data2vec-audio": "Data2VecAudioForSequenceClassification",
}


def export(recognizer: Recognizer, output: Path, named: str | None) -> Exported:
    """Write a folder that ``transformers.pipeline`` loads: weights, configurations, a card and, if need be, our code.

    Args:
        recognizer: the audio model, on the CPU
        output: folder, made when absent
        named: what to compare the folder and the model on; None: the test set of the pipeline that the model lies in

    Returns:
        how they compare, and the report

    Raises:
        UserError: if its backbone is none of transformers, there is nothing to compare on, or what is loaded again
            does not answer as the model does: then there is no folder
    """
    from transformers.utils.logging import disable_progress_bar

    folder, config = recognizer.folder, recognizer.trained.provenance
    disable_progress_bar()
    made, extractor, stock = _made(recognizer)
    corpora = material.corpora(folder, splits.AUDIO)
    output.parent.mkdir(parents=True, exist_ok=True)
    with reporting_faults(output), TemporaryDirectory(dir=output.parent) as scratch:
        place = Path(scratch)
        made.save_pretrained(place)
        extractor.save_pretrained(place)
        if not stock:
            copyfile(CODE, place / CODE.name)
        with material.recordings(folder, named) as recordings:
            verified = verification.of_pipeline(place, recognizer, recordings)
        require(verified, exact=not stock and config["precision"] == "float32", what=f"{output}")
        told = metadata.of_speech(folder, "float32", corpora)
        write_text(card.render(told, corpora, verified, base_model(config["backbone"]), stock), place / "README.md")
        found = report(verified, "float32", _size(place), ("torch", "transformers"))
        write_json(found, place / REPORT)
        output.mkdir(exist_ok=True)
        mode = (place / "README.md").stat().st_mode  # safetensors restricts its files to their owner
        for file in sorted(place.iterdir()):
            file.chmod(mode)
            file.replace(output / file.name)
        if stock:
            (output / CODE.name).unlink(missing_ok=True)
    return Exported(verified, found)


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def _made(recognizer: Recognizer) -> tuple[PreTrainedModel, Wav2Vec2FeatureExtractor, bool]:
    """Return a model for transformers, what prepares its input, and whether a class of the library holds it."""
    backbone, trained = recognizer.encoder.backbone, recognizer.trained
    if not isinstance(backbone, Whisper | Convolutional):
        raise UserError(
            f"{backbone.origin.name}: transformers has no such encoder, and the hub's file would need FunASR; "
            "`emopipe export --to onnx` takes it"
        )
    labels = trained.task.names
    shared = {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
        "problem_type": "regression" if isinstance(trained.task, Regression) else "single_label_classification",
    }
    if _is_stock(recognizer):
        return _stock(recognizer, shared), backbone.extractor, True
    from transformers import Wav2Vec2FeatureExtractor

    extractor = Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)  # the model does it, once cut
    return _own(recognizer, shared), extractor, False


def _is_stock(recognizer: Recognizer) -> bool:
    """Return whether the model is what the library's classes are: a linear head on the mean of the frames.

    Those of the last block, or of a weighted sum of all layers.
    """
    backbone, settings = recognizer.encoder.backbone, recognizer.trained.settings
    if not isinstance(backbone, Convolutional) or settings.head != "linear" or settings.ensemble_size != 1:
        return False
    last = norms_last(backbone.config)
    if settings.features == "finetuned" and settings.pooling == "mean":
        return not last or backbone.block_count == backbone.config.num_hidden_layers  # of a part we leave the norm off
    # where the norm stands last, it is no part of the layers that those classes weigh
    return settings.features == "frozen" and settings.layer_pooling == "weighted" and not last


def _stock(recognizer: Recognizer, shared: Mapping[str, Any]) -> PreTrainedModel:
    """Return the model in a class of transformers: its projector is the identity, what is linear in its classifier."""
    import transformers

    backbone, trained = recognizer.encoder.backbone, recognizer.trained
    (member,) = trained.model.members
    config = type(backbone.config).from_dict(backbone.config.to_dict() | dict(shared))
    config.num_hidden_layers = backbone.block_count
    config.classifier_proj_size = backbone.dim
    config.use_weighted_layer_sum = trained.settings.features == "frozen"
    model = getattr(transformers, STOCK[config.model_type])(config)
    base = model.base_model
    for name, part in (
        ("convolutions", base.feature_extractor), ("projection", base.feature_projection),
        ("positions", base.encoder.pos_conv_embed),
    ):  # fmt: skip
        part.load_state_dict(backbone.front[name].state_dict())
    blocks, norm = _blocks(backbone, member.blocks)
    base.encoder.layers.load_state_dict(blocks.state_dict())
    base.encoder.layer_norm.load_state_dict((norm if norms_last(config) else backbone.front["norm"]).state_dict())
    with torch.no_grad():
        model.projector.weight.copy_(torch.eye(backbone.dim))
        model.projector.bias.zero_()
        weight, bias = member.head[-1].weight, member.head[-1].bias
        if isinstance(trained.task, Regression):
            scale = trained.task.scale
            weight, bias = weight * scale.std[:, None], bias * scale.std + scale.mean
        else:
            weight, bias = weight / trained.temperature, bias / trained.temperature
        model.classifier.weight.copy_(weight)
        model.classifier.bias.copy_(bias)
        if config.use_weighted_layer_sum:
            model.layer_weights.copy_(member.layers.weights)
    return model.eval()


def _own(recognizer: Recognizer, shared: Mapping[str, Any]) -> PreTrainedModel:
    """Return the model in the class of the file that goes with it."""
    from emopipe.export.modeling_emopipe import EmopipeConfig, EmopipeForAudioClassification

    backbone, trained, encoder = recognizer.encoder.backbone, recognizer.trained, recognizer.encoder
    settings, model = trained.settings, trained.model
    tuned = isinstance(model, TunedModel)
    members: Sequence[AudioModel] = (model.head if tuned else model).members
    scale = trained.task.scale if isinstance(trained.task, Regression) else None
    config = EmopipeConfig(
        encoder=_without_defaults(backbone),
        depth=backbone.block_count,
        final_norm=not isinstance(backbone.blocks.norm, nn.Identity),
        features=settings.features,
        trained_blocks=0 if settings.features == "frozen" else encoder.trainable,
        layer_pooling=settings.layer_pooling,
        pooling=settings.pooling,
        head=[_layer(layer) for layer in members[0].head if not isinstance(layer, nn.Dropout)],
        members=len(members),
        max_samples=encoder.max_samples,
        normalised=isinstance(backbone, Convolutional) and backbone.extractor.do_normalize,
        calibration_temperature=1.0 if scale is not None else trained.temperature,
        mean=None if scale is None else scale.mean.tolist(),
        std=None if scale is None else scale.std.tolist(),
        auto_map={
            "AutoConfig": f"{CODE.stem}.EmopipeConfig",
            "AutoModelForAudioClassification": f"{CODE.stem}.EmopipeForAudioClassification",
        },
        architectures=["EmopipeForAudioClassification"],
        **shared,
    )
    made = EmopipeForAudioClassification(config)
    _fill_front(made.front, backbone)
    blocks, norm = _blocks(backbone, model.blocks if tuned else None)
    made.blocks.load_state_dict(blocks[: len(made.blocks)].state_dict())
    made.norm.load_state_dict(norm.state_dict())
    for own, member in zip(made.members, members, strict=True):
        own.head.load_state_dict(_without_dropout(member.head).state_dict())
        if own.blocks is not None:
            own.blocks.load_state_dict(member.blocks.blocks.state_dict())
            own.norm.load_state_dict(member.blocks.norm.state_dict())
        if own.pooling is not None:
            own.pooling.load_state_dict(member.pooling.state_dict())
        if own.layers is not None:
            own.layers.load_state_dict(member.layers.state_dict())
    return made.eval()


def _fill_front(front: nn.Module, backbone: Whisper | Convolutional) -> None:
    if isinstance(backbone, Convolutional):
        for name, part in front.named_children():
            part.load_state_dict(backbone.front[name].state_dict())
        return
    state: dict[str, Tensor] = {
        "positions": backbone.front["positions"].weight[: len(front.positions)],
        "window": torch.hann_window(len(front.window), dtype=torch.float64).float(),
        "filters": torch.from_numpy(backbone.features.mel_filters).T.float(),
    }
    for name in ("conv1", "conv2"):
        state |= {f"{name}.{key}": value for key, value in backbone.front[name].state_dict().items()}
    front.load_state_dict(state)


def _blocks(backbone: Backbone, trained: Any) -> tuple[nn.ModuleList, nn.Module]:
    """Return all blocks of a network and its last norm, the upper ones those that were trained, where they were."""
    own = backbone.blocks
    if trained is None or not len(trained.blocks):
        return own.blocks, own.norm if trained is None else trained.norm
    kept = len(own.blocks) - len(trained.blocks)
    return nn.ModuleList([*own.blocks[:kept], *trained.blocks]), trained.norm


def _layer(layer: nn.Module) -> list[Any]:
    match layer:
        case nn.Linear():
            return ["Linear", layer.in_features, layer.out_features]
        case nn.LayerNorm():
            return ["LayerNorm", layer.normalized_shape[0]]
        case nn.BatchNorm1d():
            return ["BatchNorm1d", layer.num_features]
    return [type(layer).__name__]


def _without_dropout(head: nn.Sequential) -> nn.Sequential:
    return nn.Sequential(*(layer for layer in head if not isinstance(layer, nn.Dropout)))


def _without_defaults(backbone: Whisper | Convolutional) -> dict[str, Any]:
    """Return the configuration of an encoder, what differs from its class's own."""
    found = backbone.config.to_diff_dict()
    found.pop("architectures", None)
    return json.loads(json.dumps(found)) | {"model_type": backbone.config.model_type}
