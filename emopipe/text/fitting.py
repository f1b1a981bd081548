"""Training a text regressor."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from emopipe.losses.regression import REGRESSION_LOSSES
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.scoring.regression import means
from emopipe.text import encoders
from emopipe.text.batches import Collate, items
from emopipe.text.parameters import Text
from emopipe.text.regressor import GOAL, Regressor
from emopipe.text.saving import Trained
from emopipe.training import members
from emopipe.training.examples import ExampleDataset
from emopipe.training.fitting import Training, TrainSet
from emopipe.training.targets import TargetScaler
from emopipe.training.tracking import Tracker


def fit(
    train: pd.DataFrame, dev: pd.DataFrame, settings: Text, device: torch.device, tracker: Tracker, checkpoints: Path
) -> Trained:
    """Train a regressor from its pretrained encoder; the epoch that is best on ``dev`` is kept.

    With ``text.refit`` another one is then trained on both sets, for as many epochs or for ``all``. Each of
    ``text.ensemble_size`` is trained in this way, from a seed of its own. The result depends on these rows and settings
    alone, not on what was trained before.

    Args:
        train: rows of the split table that have VAD; their statistics standardise the targets
        dev: likewise; never the test set
        settings: the ``text`` group
        device: where to train
        tracker: keeps the history of the first member
        checkpoints: folder for them; where it holds some, the training goes on from the last one

    Raises:
        UserError: if the encoder cannot be had, cannot read ``max_tokens``, or has no blocks for ``layer_decay``
    """
    pretrained = encoders.load(settings.encoder)
    encoders.check_tokens(settings.max_tokens, pretrained)
    tokenizer, targets = pretrained.tokenizer, TargetScaler.fit(_vad(train))

    def examples(rows: pd.DataFrame) -> ExampleDataset:
        vad = targets.transform(torch.tensor(_vad(rows))).float().numpy()
        return items(rows["transcript"], tokenizer, settings.max_tokens, vad)

    def build() -> Regressor:
        return Regressor(deepcopy(pretrained.encoder), settings)

    def learnt_from(rows: pd.DataFrame) -> TrainSet:
        return TrainSet(examples(rows), build, REGRESSION_LOSSES[settings.loss])

    how = Training(Collate(tokenizer), Regressor.parameter_groups, partial(scores, targets), GOAL, settings, device)
    learnt = pd.concat([train, dev]) if settings.refit != "none" else train
    both = learnt_from(learnt) if settings.refit != "none" else None
    found = members.fit(how, settings.ensemble_size, learnt_from(train), examples(dev), both, tracker, checkpoints)
    return Trained(found.model, tokenizer, settings, targets, pretrained.origin, found.epochs, len(learnt))


def _vad(rows: pd.DataFrame) -> np.ndarray:
    return rows[list(DIMENSIONS)].to_numpy()


def scores(targets: TargetScaler, outputs: np.ndarray, vad: np.ndarray) -> dict[str, float]:
    """Return the dev scores on the 1..5 scale, each the mean over the dimensions.

    Args:
        targets: statistics of the training targets
        outputs: standardised predictions, [utterances, 3]
        vad: standardised likewise, [utterances, 3]

    Returns:
        ``mse``, ``rmse`` (the root of that mean), ``mae``, ``ccc``, ``pcc``
    """
    return means(targets.inverse_transform(vad), targets.inverse_transform(outputs))
