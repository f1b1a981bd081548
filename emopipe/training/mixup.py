"""Mixup of the inputs of the audio model: training on utterances between two utterances."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from emopipe.training.data import Batch, Loss


class Mixture(NamedTuple):
    """A mixed batch, with the partner and the share of each of its rows."""

    batch: Batch
    partner: Tensor  # [batch], the utterance mixed into each
    share: float  # λ, what each keeps of itself, from 1/2 to 1

    def mixed_loss(self, loss: Loss, outputs: Tensor) -> Tensor:
        """Return λ ℓ(outputs, y) + (1 − λ) ℓ(outputs, y of the partner); for mixed targets y, ℓ(outputs, y).

        Args:
            loss: ℓ
            outputs: of the model for :attr:`batch`, [batch, ...]
        """
        labels = self.batch["labels"]
        if labels.is_floating_point():
            return loss(outputs, labels)
        return self.share * loss(outputs, labels) + (1 - self.share) * loss(outputs, labels[self.partner])


def mixed(batch: Batch, alpha: float) -> Mixture:
    """Mix every utterance of a batch with another one of it: λ x + (1 − λ) x of the partner.

    The partners are a random permutation, and one λ ~ Beta(α, α) is drawn per batch, of which the larger of λ and
    1 − λ is taken. A permutation and its inverse are equally likely, so this changes nothing but the order of the
    mixtures, and lets the utterance's own label be the one to score its output against.

    Frames are mixed where both clips have one. Where one has ended, the other's frames go on as they are, not paled
    by the padding: a mixture is as long as the longer clip. Statistics, and targets of a regression, are mixed;
    class numbers stay, for :meth:`Mixture.mixed_loss`.

    Random numbers come from PyTorch's global generator, on the CPU: its state is what a checkpoint holds.

    Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018.

    Args:
        batch: ``labels``, [batch] class numbers or [batch, dimensions] targets; ``frames``, [batch, tokens, dim],
            with ``valid``, [batch, tokens], True where a row is real; ``statistics``, [batch, 2, layers, dim]; it is
            not changed
        alpha: α; 0 returns the batch as it is and draws nothing
    """
    labels = batch["labels"]
    if alpha == 0:
        return Mixture(batch, torch.arange(len(labels), device=labels.device), 1.0)
    drawn = torch.distributions.Beta(alpha, alpha).sample().item()
    share = max(drawn, 1 - drawn)
    partner = torch.randperm(len(labels)).to(labels.device)
    result = dict(batch)
    if "frames" in batch:
        frames, valid = batch["frames"], batch["valid"][..., None]
        both = valid & valid[partner]
        alone = torch.where(valid, frames, frames[partner])
        result["frames"] = torch.where(both, _between(frames, partner, share), alone)
        result["valid"] = batch["valid"] | batch["valid"][partner]
    if "statistics" in batch:
        result["statistics"] = _between(batch["statistics"], partner, share)
    if labels.is_floating_point():
        result["labels"] = _between(labels, partner, share)
    return Mixture(result, partner, share)


def _between(values: Tensor, partner: Tensor, share: float) -> Tensor:
    return torch.lerp(values[partner], values, share)
