"""Training a text regressor."""

from __future__ import annotations

from copy import deepcopy
from functools import partial

import numpy as np
import pandas as pd
import torch

from emopipe.losses.regression import REGRESSION_LOSSES
from emopipe.schemas.manifest import DIMENSIONS
from emopipe.scoring.regression import means
from emopipe.text import encoders
from emopipe.text.batches import Collate, examples
from emopipe.text.parameters import Text
from emopipe.text.regressor import METRIC, Regressor
from emopipe.text.saving import Trained
from emopipe.training.data import ExampleDataset
from emopipe.training.fitting import Recipe, Run, TrainingData, train_ensemble
from emopipe.training.networks import TargetScaler


def fit(train: pd.DataFrame, dev: pd.DataFrame, settings: Text, run: Run) -> Trained:
    """Train a regressor from its pretrained encoder; the epoch that is best on ``dev`` is kept.

    Where ``text.refit`` asks for it, the regressor is then trained anew on both sets. Each of ``text.ensemble_size``
    members is trained in this way, from a seed of its own. The result depends on these rows and settings alone, not on
    what was trained before.

    Args:
        train: rows of the split table that have VAD; their statistics standardise the targets
        dev: likewise; never the test set
        settings: the ``text`` group
        run: of the training

    Raises:
        UserError: if the encoder is not available, cannot read ``max_tokens``, or has no blocks for ``layer_decay``
    """
    pretrained = encoders.load(settings.encoder)
    encoders.check_tokens(settings.max_tokens, pretrained)
    tokenizer, targets = pretrained.tokenizer, TargetScaler.fit(_vad(train))

    def tokenised(rows: pd.DataFrame) -> ExampleDataset:
        vad = targets.transform(torch.tensor(_vad(rows))).float().numpy()
        return examples(rows["transcript"], tokenizer, settings.max_tokens, vad)

    def build() -> Regressor:
        return Regressor(deepcopy(pretrained.encoder), settings)

    def training_data(dataset: ExampleDataset) -> list[TrainingData]:
        return [TrainingData(dataset, build, REGRESSION_LOSSES[settings.loss])] * settings.ensemble_size

    recipe = Recipe(Collate(tokenizer), Regressor.parameter_groups, partial(scores, targets), METRIC, settings)
    train_set, dev_set = tokenised(train), tokenised(dev)
    refit = settings.refit != "none"
    both = training_data(train_set + dev_set) if refit else None
    found = train_ensemble(recipe, training_data(train_set), dev_set, both, run)
    rows = len(train) + (len(dev) if refit else 0)
    return Trained(found.model, tokenizer, settings, targets, pretrained.origin, found.epochs, rows)


def _vad(rows: pd.DataFrame) -> np.ndarray:
    return rows[list(DIMENSIONS)].to_numpy()


def scores(targets: TargetScaler, outputs: np.ndarray, vad: np.ndarray) -> dict[str, float]:
    """Return the dev scores on the 1..5 scale, each the mean over the dimensions.

    Args:
        targets: scale of the training targets
        outputs: standardised predictions, [utterances, 3]
        vad: standardised likewise, [utterances, 3]

    Returns:
        ``mse``, ``rmse`` (the root of that mean), ``mae``, ``ccc``, ``pcc``
    """
    return means(targets.inverse_transform(vad), targets.inverse_transform(outputs))
