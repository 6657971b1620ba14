"""Functions of logits that gradient attacks ascend, one value a sample."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Minus the log probability of the label, shape (n,)."""
    return F.cross_entropy(logits, labels, reduction="none")


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """The difference of logits ratio: (best other - label) / (first - third largest), shape (n,).

    It does not change when the logits are shifted or scaled. With two classes there is no third logit and any ratio
    of the two would be constant, so it is their plain difference.

    Source: Croce and Hein 2020 (AutoAttack), eq. 6; two classes are not defined there.

    >>> dlr(torch.tensor([[3.0, 1.0, 2.0, 0.0]]), torch.tensor([0]))
    tensor([-0.5000])
    """
    ordered = logits.topk(min(3, logits.shape[1]), 1).values
    own = logits.gather(1, labels[:, None]).squeeze(1)
    other = torch.where(logits.argmax(1) == labels, ordered[:, 1], ordered[:, 0])
    if logits.shape[1] < 3:
        return other - own
    return (other - own) / (ordered[:, 0] - ordered[:, 2] + 1e-12)


def dlr_targeted(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """The targeted form: (target - label) / (first - mean of third and fourth largest), shape (n,).

    With three classes the ratio is -1 wherever the target comes last, and flat; with two it is flat everywhere. There
    it is the plain difference of the two logits.

    Source: Croce and Hein 2020 (AutoAttack), eq. 7; fewer than four classes are not defined there.

    >>> dlr_targeted(torch.tensor([[3.0, 1.0, 2.0, 0.0]]), torch.tensor([0]), torch.tensor([2]))
    tensor([-0.4000])
    """
    ordered = logits.topk(min(4, logits.shape[1]), 1).values
    own = logits.gather(1, labels[:, None]).squeeze(1)
    aim = logits.gather(1, targets[:, None]).squeeze(1)
    if logits.shape[1] < 4:
        return aim - own
    return (aim - own) / (ordered[:, 0] - 0.5 * (ordered[:, 2] + ordered[:, 3]) + 1e-12)
