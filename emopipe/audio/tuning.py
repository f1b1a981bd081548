"""Fine-tuning that begins from a model on frozen layers, and is compared with it.

A head that begins at random sends gradients into the blocks that distort what they knew before it is trained.
So the heads are trained on the frozen layers first, and then together with the blocks at small rates (Kumar et al.,
"Fine-tuning can distort pretrained features and underperform out-of-distribution", ICLR 2022). How much of the change
is kept is decided on dev, among shares of it that include none (Wortsman et al., "Robust fine-tuning of zero-shot
models", CVPR 2022).

A dev set is a few speakers, and the best of several scores of a few speakers is often the luckiest. So the shares are
compared by a proper loss of every utterance, which is far less noisy than the recall of classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import EvalPrediction

from emopipe.audio.model import Choice, TunedModel
from emopipe.audio.parameters import Train
from emopipe.training.data import Collate, ExampleDataset, Loss, predict
from emopipe.training.fitting import EnsembleResult, Recipe, Run, TrainingData, fit, refit
from emopipe.training.networks import Ensemble
from emopipe.training.trainer import scores_of


@dataclass(frozen=True)
class DevSet:
    """What decides how much of a change is kept."""

    dataset: ExampleDataset
    losses: Callable[[np.ndarray, np.ndarray], np.ndarray]  # of outputs and targets, [utterances]
    metric: str  # one of the scores, to be shown beside
    clusters: np.ndarray  # numbers of the speakers, [utterances]


class Tuned(NamedTuple):
    """What came of a fine-tuning."""

    model: TunedModel | Ensemble  # the latter, on frozen layers, where no share of the change was better on dev
    choice: Choice
    dev_outputs: np.ndarray  # of what is kept, trained without the dev set, [utterances, outputs]


@dataclass(frozen=True)
class PerHead:
    """The mean of the losses of several heads, each for itself; that of their mean outputs where those are given."""

    loss: Loss

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of [batch, heads, outputs], or of [batch, outputs]."""
        if outputs.ndim == 2:
            return self.loss(outputs, targets)
        return torch.stack([self.loss(own, targets) for own in outputs.unbind(1)]).mean()


def tuning_recipe(recipe: Recipe, collate: Collate, optimisation: Train) -> Recipe:
    """Return the recipe of a tuning.

    Args:
        recipe: by which the heads were trained
        collate: of batches with frames
        optimisation: the ``train`` group
    """
    tuning = optimisation.tuning
    own = {"epochs": tuning.epochs, "learning_rate": tuning.head_learning_rate}
    return Recipe(
        collate,
        partial(TunedModel.parameter_groups, tuning=tuning),
        recipe.score,
        None,  # its rates have come to an end when its last epoch has
        optimisation.model_copy(update=own),
    )


def tune(
    frozen: EnsembleResult,
    build: Callable[[Ensemble], TunedModel],
    recipe: Recipe,
    train: TrainingData,
    dev: DevSet,
    train_and_dev: TrainingData | None,
    shares: Sequence[float] | float,
    run: Run,
) -> Tuned:
    """Train blocks under the heads of an ensemble on frozen layers, and keep the share of the change that dev prefers.

    Where there is a refit, the share is chosen with the members that were not trained on dev; then all members are
    tuned on both sets.

    Args:
        frozen: the ensemble, with its members that were not trained on dev
        build: gives a model that begins from an ensemble
        recipe: of the tuning
        train: what the ensemble was trained on
        dev: selects the share, for which it needs several speakers; never the test set
        train_and_dev: both together; None: there is no refit
        shares: of the change, to choose from, none of it being always one; or the one to keep, whatever dev says
        run: of the tuning
    """
    run = replace(run, checkpoints=run.checkpoints / "tuned")
    own = _tuned_data(train, build, frozen.without_dev)
    start = build(frozen.without_dev).to(run.device)
    model, epoch = fit(recipe, own, dev.dataset, run)
    targets, settings = np.stack([example.target for example in dev.dataset.examples]), recipe.settings
    end, outputs = _copied(model), {}
    given = [shares] if isinstance(shares, float) else sorted(shares)
    for share in (0.0, *given):
        model.load_state_dict(between(start.state_dict(), end, share))
        outputs[share] = predict(model, dev.dataset, recipe.collate, settings.batch_size, run.device)
    choice = preferred({share: dev.losses(one, targets) for share, one in outputs.items()}, dev.clusters)
    if isinstance(shares, float):
        choice = choice._replace(share=shares)
    kept, before = (
        scores_of(own.loss, recipe.score, run.device, EvalPrediction(outputs[share], targets))
        for share in (choice.share, 0.0)
    )
    choice = choice._replace(score=kept[dev.metric], frozen=before[dev.metric])
    run.tracker.summarise(epoch if choice.share else 0, kept, {"share": choice.share, "frozen": before})
    run.tracker.print(_verdict(choice, dev.metric))
    if not choice.share:
        return Tuned(frozen.model, choice, outputs[0.0])
    if train_and_dev is not None:
        start = build(frozen.model).to(run.device)
        model, _ = refit(recipe, _tuned_data(train_and_dev, build, frozen.model), epoch, run)
        end = _copied(model.to(run.device))
    model.load_state_dict(between(start.state_dict(), end, choice.share))
    return Tuned(model, choice, outputs[choice.share])


def preferred(losses: Mapping[float, np.ndarray], clusters: np.ndarray) -> Choice:
    """Return the share with the lowest loss, where speakers count alike.

    Args:
        losses: by share, each [utterances]; that of 0 among them
        clusters: numbers of the speakers, from 0, [utterances]

    >>> losses = {0.0: np.ones(3), 1.0: np.array([0.6, 0.4, 1.2])}
    >>> choice = preferred(losses, np.array([0, 0, 1]))
    >>> choice.share, choice.losses, round(choice.error, 3)
    (1.0, {'0': 1.0, '1': 0.85}, 0.35)
    """
    counts = np.bincount(clusters)
    by_speaker = {share: np.bincount(clusters, own) / counts for share, own in losses.items()}
    means = {share: own.mean().item() for share, own in by_speaker.items()}
    best = min((share for share in means if share), key=means.__getitem__)
    gains = by_speaker[0.0] - by_speaker[best]
    error = (gains.std(ddof=1) / np.sqrt(len(gains))).item() if len(gains) > 1 else None
    chosen = best if means[best] < means[0.0] else 0.0
    return Choice(chosen, {f"{share:g}": loss for share, loss in means.items()}, error)


def between(start: Mapping[str, Tensor], end: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Return a state with a share of the change from one to another.

    The effective weights of a low-rank change, start + B A, move along a line as B does; A has no start.
    """
    state = {}
    for name, value in end.items():
        moves = value.is_floating_point() and ".lora_A." not in name
        state[name] = torch.lerp(start[name], value, share) if moves and share < 1 else value
    return state


def _tuned_data(data: TrainingData, build: Callable[[Ensemble], TunedModel], ensemble: Ensemble) -> TrainingData:
    return data._replace(build=partial(build, ensemble), loss=PerHead(data.loss))


def _copied(model: TunedModel) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _verdict(choice: Choice, metric: str) -> str:
    frozen, *others = choice.losses.items()
    best, lowest = min(others, key=lambda item: item[1])
    shares = ", ".join(f"{share}: {loss:.4f}" for share, loss in others)
    kept = f"{choice.share:g} of the change" if choice.share else "the frozen model"
    error = "" if choice.error is None else f", with a standard error of {choice.error:.4f} over speakers"
    return (
        f"dev loss of the frozen model {frozen[1]:.4f}, with shares of the change {shares}; {best} gains "
        f"{frozen[1] - lowest:.4f}{error}; {kept} is kept: "
        f"{metric} {choice.score:.4f}, frozen {choice.frozen:.4f}"
    )
