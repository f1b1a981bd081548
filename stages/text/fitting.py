"""Training a text regressor."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from stages.contracts.manifest import DIMENSIONS
from stages.contracts.parameters import Text
from stages.scoring.regression import means
from stages.text import encoders
from stages.text.batches import Collate, items
from stages.text.regressor import GOAL, Regressor
from stages.text.saving import Trained
from stages.training import members
from stages.training.examples import Items
from stages.training.fitting import Training, TrainSet
from stages.training.regression_losses import REGRESSION_LOSSES
from stages.training.targets import Targets
from stages.training.tracking import Tracker


def fit(
    train: pd.DataFrame, dev: pd.DataFrame, settings: Text, device: torch.device, tracker: Tracker, checkpoints: Path
) -> Trained:
    """Train a regressor from its pretrained encoder; the epoch that is best on ``dev`` is kept.

    With ``text.refit`` another one is then trained on both sets, for as many epochs or for ``all``. Each of
    ``text.members`` is trained in this way, from a seed of its own. The result depends on these rows and settings
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
    tokenizer, targets = pretrained.tokenizer, Targets.of(_vad(train))

    def examples(rows: pd.DataFrame) -> Items:
        vad = targets.standardise(torch.tensor(_vad(rows))).float().numpy()
        return items(rows["transcript"], tokenizer, settings.max_tokens, vad)

    def build() -> Regressor:
        return Regressor(deepcopy(pretrained.encoder), settings)

    def learnt_from(rows: pd.DataFrame) -> TrainSet:
        return TrainSet(examples(rows), build, REGRESSION_LOSSES[settings.loss])

    how = Training(Collate(tokenizer), Regressor.tiers, partial(scores, targets), GOAL, settings, device)
    learnt = pd.concat([train, dev]) if settings.refit else train
    both = learnt_from(learnt) if settings.refit else None
    found = members.fit(how, settings.members, learnt_from(train), examples(dev), both, tracker, checkpoints)
    return Trained(found.model, tokenizer, settings, targets, pretrained.origin, found.epochs, len(learnt))


def _vad(rows: pd.DataFrame) -> np.ndarray:
    return rows[list(DIMENSIONS)].to_numpy()


def scores(targets: Targets, outputs: np.ndarray, vad: np.ndarray) -> dict[str, float]:
    """Return the dev scores on the 1..5 scale, each the mean over the dimensions.

    Args:
        targets: statistics of the training targets
        outputs: standardised predictions, [utterances, 3]
        vad: standardised likewise, [utterances, 3]

    Returns:
        ``mse``, ``rmse`` (the root of that mean), ``mae``, ``ccc``, ``pcc``
    """
    return means(targets.to_scale(vad), targets.to_scale(outputs))
