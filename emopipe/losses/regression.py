"""Regression losses: predictions and targets, [batch, dimensions] each, to a scalar, the mean over dimensions.

In the formulas x are the predictions and y the targets of one dimension; μ, σ² and cov are their means, variances and
covariance over the batch. A correlation needs a batch to be seen in: one utterance alone, or equal targets, tell it
nothing, and give loss 1 and gradient 0.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from emopipe.training.data import Loss
from emopipe.training.parameters import RegressionLoss

EPSILON = 1e-8  # keeps quotients and slopes finite where nothing varies


def ccc(predictions: Tensor, targets: Tensor) -> Tensor:
    """One minus the concordance correlation coefficient: 1 − 2 cov / (σx² + σy² + (μx − μy)² + 1e-8).

    cov is ρ σx σy, without the square roots, whose slope is infinite where nothing varies.

    Lin, "A concordance correlation coefficient to evaluate reproducibility", Biometrics 45, 1989.
    """
    x, y = _centred(predictions), _centred(targets)
    distance = (predictions.mean(0) - targets.mean(0)).square()
    spread = x.square().mean(0) + y.square().mean(0) + distance
    return (1 - 2 * (x * y).mean(0) / (spread + EPSILON)).mean()


def pcc(predictions: Tensor, targets: Tensor) -> Tensor:
    """One minus Pearson's correlation coefficient: 1 − cov / sqrt((σx² + 1e-8) (σy² + 1e-8))."""
    x, y = _centred(predictions), _centred(targets)
    variances = (x.square().mean(0) + EPSILON) * (y.square().mean(0) + EPSILON)
    return (1 - (x * y).mean(0) / variances.sqrt()).mean()


def mse_ccc(predictions: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error plus one minus the concordance: the first sees each utterance, the second their spread."""
    return F.mse_loss(predictions, targets) + ccc(predictions, targets)


def _centred(values: Tensor) -> Tensor:
    return values - values.mean(0)


REGRESSION_LOSSES: dict[RegressionLoss, Loss] = {
    "ccc": ccc,
    "pcc": pcc,
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "mse_ccc": mse_ccc,
}
