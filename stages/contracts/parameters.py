"""The typed form of params.yaml, the one place of every choice and hyperparameter.

A stage asks for the groups it lists in dvc.yaml, by their dotted names, and gets those alone::

    model, train = load("model", "train")

so that no value can act on a stage that DVC does not know to rerun.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, Field, ValidationError, model_validator

from stages.contracts.errors import UserError
from stages.contracts.manifest import DIMENSIONS, Emotion
from stages.contracts.values import (
    Count,
    Dimensions,
    Fractions,
    Group,
    Natural,
    Number,
    Positive,
    Precision,
    RegressionLoss,
    Seed,
    Share,
    Speeds,
)

PATH = Path("params.yaml")


class Branch(Group):
    corpora: list[str]
    labels: Annotated[list[Emotion], Field(min_length=2)] | None
    merge: dict[Emotion, Emotion]


class Demo(Group):
    speakers: Annotated[int, Field(ge=6)]
    utterances: Count
    seed: Seed


class Data(Group):
    audio: Branch
    text: Branch
    demo: Demo


class Resample(Group):
    max_rejected: Annotated[Number, Field(ge=0, le=1)]


class Partition(Group):
    strategy: Literal[
        "speaker", "session", "official", "random", "corpus",
        "speaker_folds", "leave_one_speaker_out", "leave_one_session_out",
    ]  # fmt: skip
    test_corpora: list[str]
    crossing_speakers: Literal["refuse", "drop", "report"]
    fractions: Fractions
    folds: Annotated[int, Field(ge=2)]
    fold: Natural
    seed: Seed


class Split(Group):
    audio: Partition
    text: Partition


class Model(Group):
    task: Literal["classification", "regression"]
    targets: Dimensions
    backbone: Annotated[str, Field(min_length=1)]
    trainable_layers: Natural | Literal["all"]
    features: Literal["suffix", "layers", "both"]
    layer_mix: Literal["concat", "concat_means", "weighted"]
    pooling: Literal["mean", "attentive_statistics"]
    head: Literal["linear", "tanh", "norm_mlp", "batchnorm_mlp"]
    hidden: Count
    head_layers: Count
    dropout: Share
    members: Count


class Encode(Group):
    max_seconds: Positive
    speed_perturbation: Speeds
    precision: Precision


class Restarts(Group):
    first: Count
    growth: Count
    lowest: Share


class Optimisation(Group):
    """What the training of both branches has in common."""

    epochs: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: Annotated[Number, Field(ge=0)]
    warmup: Share
    schedule: Literal["constant", "linear", "cosine", "cosine_restarts"]
    restarts: Restarts
    max_grad_norm: Positive
    precision: Precision
    weight_average: Share
    micro_batch: Count | None
    patience: Count | None
    refit: bool | Literal["all"]
    seed: Seed


class Scale(Group):
    lower: Positive
    upper: Positive


class Loss(Group):
    classification: Literal["cross_entropy", "focal", "balanced_softmax", "distributional_ranking"]
    regression: RegressionLoss


class Train(Optimisation):
    loss: Loss
    focal_gamma: Annotated[Number, Field(ge=0)]
    label_smoothing: Share
    class_weights: Literal["none", "inverse", "balanced"] | list[Number]
    mixup: Annotated[Number, Field(ge=0)]
    lr_scale: Scale


class Text(Optimisation):
    encoder: Annotated[str, Field(min_length=1)]
    pooling: Literal["mean", "first"]
    dropout: Share
    max_tokens: Count
    loss: RegressionLoss
    layer_decay: Annotated[Number, Field(gt=0, le=1)]
    members: Count


class Forest(Group):
    inputs: Literal["text", "audio", "both"]
    vad: Literal["out_of_sample", "in_sample", "gold"]
    trees: Count
    max_depth: Count | None
    min_leaf: Count
    class_weight: Literal["none", "balanced"]
    cross_fit: Annotated[int, Field(ge=2)]
    seed: Seed


class Anchors(Group):
    low: Annotated[list[str], Field(min_length=1)]
    high: Annotated[list[str], Field(min_length=1)]


class ZeroShot(Group):
    valence: Anchors
    arousal: Anchors
    dominance: Anchors


class Levels(Group):
    low: Annotated[str, Field(min_length=1)]
    middle: Annotated[str, Field(min_length=1)]
    high: Annotated[str, Field(min_length=1)]


class Hypotheses(Group):
    valence: Levels
    arousal: Levels
    dominance: Levels


class Evaluate(Group):
    temperature: bool
    anchors: ZeroShot
    nli: Annotated[str, Field(min_length=1)] | None
    hypotheses: Hypotheses


class Plot(Group):
    dpi: Count


def _repository(value: str) -> str:
    if not re.fullmatch(r"\w([\w.-]*\w)?/\w([\w.-]{,94}\w)?", value, re.ASCII) or re.search(r"--|\.\.|\.git$", value):
        raise ValueError("must read OWNER/NAME, of letters, digits and single - or . between them")
    return value


class Publish(Group):
    push_to_hub: Annotated[str, AfterValidator(_repository)] | None


class Runtime(Group):
    device: Literal["auto", "cpu", "cuda"]
    processes: Count
    threads: Count
    workers: Count
    tensorboard: str | None


class Parameters(Group):
    data: Data
    resample: Resample
    split: Split
    model: Model
    encode: Encode
    train: Train
    text: Text
    forest: Forest
    evaluate: Evaluate
    plot: Plot
    publish: Publish
    runtime: Runtime

    @model_validator(mode="after")
    def _what_the_forest_hears(self) -> Parameters:
        heard, missing = self.forest.inputs != "text", sorted(set(DIMENSIONS) - set(self.model.targets))
        if heard and self.model.task != "regression":
            raise ValueError(
                f"forest.inputs: {self.forest.inputs!r}: VAD from sound is that of a regression, but model.task is "
                "classification; set model.task=regression, or forest.inputs=text"
            )
        if heard and missing:
            raise ValueError(
                f"forest.inputs: {self.forest.inputs!r}: model.targets lacks {', '.join(missing)}; name all three "
                "dimensions, or set forest.inputs=text"
            )
        return self


def load(*groups: str, path: Path = PATH) -> Any:
    """Return the named groups of the parameter file, one value for one name, else a tuple.

    The whole file is checked, so that a typo stops the first stage and not the last.

    Raises:
        UserError: naming each unknown key, wrong type and value out of range by its full key
    """
    parameters = _parse(path)
    values = []
    for group in groups:
        value = parameters
        for name in group.split("."):
            value = getattr(value, name)
        values.append(value)
    return values[0] if len(values) == 1 else tuple(values)


def _parse(path: Path) -> Parameters:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; run this in the folder that holds dvc.yaml") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from None
    try:
        return Parameters.model_validate(content)
    except ValidationError as error:
        lines = [_violation(e) for e in error.errors()]
        raise UserError(f"{path}: {len(lines)} invalid value(s)\n  " + "\n  ".join(dict.fromkeys(lines))) from None


def _violation(error: Any) -> str:
    key = ""
    for part in error["loc"]:
        key += f"[{part}]" if isinstance(part, int) else f".{part}"
    key = key.removeprefix(".")
    match error["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key; the keys here are {', '.join(_keys(error['loc'][:-1]))}"
        case "missing":
            return f"{key}: missing"
        case _ if not key:  # what several groups are together wrong about
            return error["msg"].removeprefix("Value error, ")
        case _:
            return f"{key}: {error['input']!r}: {error['msg'].removeprefix('Value error, ')}"


def _keys(location: tuple[int | str, ...]) -> list[str]:
    group: Any = Parameters
    for name in location:
        group = group.model_fields[name].annotation
    return list(group.model_fields)
