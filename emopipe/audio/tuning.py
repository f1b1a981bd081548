"""Fine-tuning that begins from a model on frozen layers, and is compared with it.

A head that begins at random sends gradients into the blocks that distort what they knew before it is trained.
So the heads are trained on the frozen layers first, and then together with the blocks at small rates (Kumar et al.,
"Fine-tuning can distort pretrained features and underperform out-of-distribution", ICLR 2022). How much of the change
is kept is decided on dev, among shares of it that include none (Wortsman et al., "Robust fine-tuning of zero-shot
models", CVPR 2022): what is kept is never worse there than the frozen model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from emopipe.audio.model import Choice, TunedModel
from emopipe.audio.parameters import Train
from emopipe.training.data import Collate, ExampleDataset, Loss, predict
from emopipe.training.fitting import EnsembleResult, Recipe, Run, TrainingData, fit, refit
from emopipe.training.networks import Ensemble


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
    own = {"epochs": tuning.epochs, "learning_rate": tuning.head_learning_rate, "patience": None}
    return Recipe(
        collate,
        partial(TunedModel.parameter_groups, tuning=tuning),
        recipe.score,
        recipe.metric,
        optimisation.model_copy(update=own),
    )


def tune(
    frozen: EnsembleResult,
    build: Callable[[Ensemble], TunedModel],
    recipe: Recipe,
    train: TrainingData,
    dev: ExampleDataset,
    train_and_dev: TrainingData | None,
    shares: Sequence[float],
    run: Run,
) -> Tuned:
    """Train blocks under the heads of an ensemble on frozen layers, and keep the share of the change that dev prefers.

    Of shares with one score the one with the lowest loss is kept. Where there is a refit, epoch and share are chosen
    with the members that were not trained on dev; then all members are tuned on both sets.

    Args:
        frozen: the ensemble, with its members that were not trained on dev
        build: gives a model that begins from an ensemble
        recipe: of the tuning
        train: what the ensemble was trained on
        dev: selects the epoch and the share; never the test set
        train_and_dev: both together; None: there is no refit
        shares: of the change, to choose from; none of it is always one
        run: of the tuning
    """
    run = replace(run, checkpoints=run.checkpoints / "tuned")
    own = _tuned_data(train, build, frozen.without_dev)
    start = build(frozen.without_dev).to(run.device)
    model, epoch = fit(recipe, own, dev, run)
    targets, settings = np.stack([example.target for example in dev.examples]), recipe.settings
    end, outputs, scores = _copied(model), {}, {}
    for share in (0.0, *sorted(shares)):
        model.load_state_dict(between(start.state_dict(), end, share))
        outputs[share] = predict(model, dev, recipe.collate, settings.batch_size, run.device)
        loss = own.loss(torch.from_numpy(outputs[share]).to(run.device), torch.from_numpy(targets).to(run.device))
        scores[share] = {"loss": loss.item(), **recipe.score(outputs[share], targets)}
    # A score of few utterances often takes one value for several shares; the loss seldom does.
    chosen = max(scores, key=lambda share: (scores[share][recipe.metric], -scores[share]["loss"]))
    by_share = {f"{share:g}": score[recipe.metric] for share, score in scores.items()}
    run.tracker.summarise(epoch if chosen else 0, scores[chosen], {"share": chosen, "frozen": scores[0.0]})
    choice = Choice(chosen, epoch, by_share)
    run.tracker.print(_verdict(recipe.metric, choice))
    if not chosen:
        return Tuned(frozen.model, choice, outputs[chosen])
    if train_and_dev is not None:
        start = build(frozen.model).to(run.device)
        model, _ = refit(recipe, _tuned_data(train_and_dev, build, frozen.model), epoch, run)
        end = _copied(model.to(run.device))
    model.load_state_dict(between(start.state_dict(), end, chosen))
    return Tuned(model, choice, outputs[chosen])


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


def _verdict(metric: str, choice: Choice) -> str:
    frozen, *others = choice.scores.items()
    shares = ", ".join(f"{share}: {score:.4f}" for share, score in others)
    kept = "the frozen model is kept"
    if choice.share:
        gain = choice.scores[f"{choice.share:g}"] - frozen[1]
        kept = f"{choice.share:g} of the change after epoch {choice.epoch} is kept ({gain:+.4f})"
    return f"dev {metric} of the frozen model {frozen[1]:.4f}, with shares of the change {shares}; {kept}"
