"""What a trained model answers for its dev set, as it lies beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from emopipe.io.errors import UserError
from emopipe.io.outputs import atomic_write

NAME = "dev.safetensors"


class DevAnswers(NamedTuple):
    """Answers of a classification, from which it is known how far others can be trusted.

    The dev set has selected the epochs and the temperature: these answers are a little better than those to strangers.
    With ``train.refit`` they are those of the networks before the refit, which had not trained on it.
    """

    probabilities: np.ndarray  # calibrated, float64 [utterances, labels]
    targets: np.ndarray  # numbers of the labels, int64 [utterances]
    speakers: np.ndarray  # numbers, -1 of unknown ones, int64 [utterances]; no names, for models are published


def write(answers: DevAnswers | None, folder: Path) -> None:
    """Write ``dev.safetensors``, or see to it that there is none.

    Args:
        answers: of a classification; None: of another model
        folder: of the model
    """
    (folder / NAME).unlink(missing_ok=True)
    if answers is not None:
        with atomic_write(folder / NAME) as part:
            save_file(answers._asdict(), part)


def read(folder: Path) -> DevAnswers | None:
    """Read ``dev.safetensors``; None where there is none, as beside a regression or a model of an older version.

    Raises:
        UserError: if the file is no such thing
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        found = load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path}: not a whole file of tensors: {error}; fetch or train the model again") from None
    if set(found) != set(DevAnswers._fields) or not _whole(**found):
        raise UserError(f"{path}: not the answers for a dev set; fetch or train the model again")
    return DevAnswers(**found)


def _whole(probabilities: np.ndarray, targets: np.ndarray, speakers: np.ndarray) -> bool:
    """Return whether every utterance has a probability of each label, one of the labels and a speaker."""
    if (
        probabilities.ndim != 2
        or not probabilities.size
        or not targets.shape == speakers.shape == probabilities.shape[:1]
    ):
        return False
    within = (targets >= 0) & (targets < probabilities.shape[1])
    return bool(np.isfinite(probabilities).all() and within.all())
