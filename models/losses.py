"""What a training step makes smaller: the error of the planet's logit, and that of telling the classes apart."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Loss = Literal["bce", "focal", "smooth"]
LOSSES: tuple[Loss, ...] = ("bce", "focal", "smooth")
GAMMA = 2.0  # of the focal loss: Lin et al. 2017, arXiv:1708.02002
SMOOTHING = 0.05  # share of each label given to the other side


def of_planet(kind: Loss, logit: Tensor, truth: Tensor, weight: Tensor, positive_weight: float = 1.0) -> Tensor:
    """Weighted mean error of the planet's logit.

    Parameters
    ----------
    kind : "bce" (binary cross-entropy), "focal" (less of what is right already), "smooth" (labels of 0.05 and 0.95)
    logit, truth, weight : (n,)
    positive_weight : of a planet, beside its own
    """
    target = truth * (1 - 2 * SMOOTHING) + SMOOTHING if kind == "smooth" else truth
    pos = torch.tensor(positive_weight, device=logit.device)
    if kind != "focal":
        return (
            functional.binary_cross_entropy_with_logits(logit, target, weight=weight, pos_weight=pos, reduction="sum")
            / weight.sum()
        )
    each = functional.binary_cross_entropy_with_logits(logit, target, pos_weight=pos, reduction="none")
    missed = torch.sigmoid(torch.where(truth > 0.5, -logit, logit))  # chance given to the wrong side
    return (weight * missed**GAMMA * each).sum() / weight.sum()


def of_classes(classes: Tensor, allowed: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of -log of the share given to the classes a row may have.

    A row whose label leaves every class open, or only those the network does not have, teaches nothing.

    Parameters
    ----------
    classes : (n, k) logits, -inf for classes the network does not have
    allowed : (n, k) bool
    weight : (n,)
    """
    had = torch.isfinite(classes)
    open_to = allowed & had
    taught = open_to.any(dim=1) & (had & ~open_to).any(dim=1)
    if not bool(taught.any()):
        return classes.new_zeros(())
    classes, open_to, weight = classes[taught], open_to[taught], weight[taught]
    inside = torch.logsumexp(classes.masked_fill(~open_to, float("-inf")), dim=1)
    return ((torch.logsumexp(classes, dim=1) - inside) * weight).sum() / weight.sum()
