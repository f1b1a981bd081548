"""Networks of one kind that are trained apart, and whose outputs are averaged.

What a seed decides, the first weights and the order and mixtures of examples, then decides less. The mean of scores
before the softmax is the normalised geometric mean of the probabilities.

Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles", NeurIPS 2017.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from emopipe.training import fitting
from emopipe.training.examples import ExampleDataset
from emopipe.training.fitting import Training, TrainSet
from emopipe.training.network import Ensemble, count_trainable_parameters
from emopipe.training.prediction import predict
from emopipe.training.processes import is_first
from emopipe.training.tracking import Tracker


class Fitted(NamedTuple):
    """Members, and how they came about."""

    model: Ensemble
    epochs: list[int]  # whose weights they have, from 1: the best on dev, or the last of a refit
    said: np.ndarray  # mean of their outputs for the dev set before a refit, [utterances, outputs]


def fit(
    how: Training,
    number: int,
    train: TrainSet,
    dev: ExampleDataset,
    both: TrainSet | None,
    tracker: Tracker,
    folder: Path,
) -> Fitted:
    """Train members from the seed of the settings, the next one, and so on.

    Args:
        how: settings of the branch
        number: of members
        train: what they learn from
        dev: what picks the epoch of each; never the test set
        both: train and dev together, on which another network then takes the place of each; None: not so
        tracker: keeps the history of the first one
        folder: for checkpoints; where it holds some, the training goes on from the last one
    """
    members, epochs, said = [], [], []
    for member in range(number):
        seed = (how.settings.seed + member) % 2**32  # after the last seed there is comes the first
        own = replace(how, settings=how.settings.model_copy(update={"seed": seed}))
        follower = tracker if member == 0 else Tracker(f"{tracker.name}: member {member + 1}")
        place = folder / f"member-{member + 1}"
        model, epoch = fitting.fit(own, train, dev, follower, place)
        said.append(predict(model, dev, how.collate, how.settings.batch_size, how.device))
        if both is not None:
            model, epoch = fitting.refit(own, both, epoch, follower.name, place)
        members.append(model)
        epochs.append(epoch)
    ensemble = Ensemble(members)
    if is_first():
        print(f"{tracker.name}: {count_trainable_parameters(ensemble):,} trained parameters, in {number} member(s)")
    return Fitted(ensemble, epochs, np.mean(said, axis=0))
