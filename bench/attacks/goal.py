"""What an attack wants: away from the label, or to a target."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Goal:
    """The aim for each sample of a batch.

    Attributes:
        labels: True classes, shape (n,), int64.
        targets: Classes to reach, shape (n,), int64; None for an untargeted attack.
    """

    labels: Tensor
    targets: Tensor | None = None

    def rows(self, index: Tensor) -> Goal:
        """The goal of some of the samples."""
        return Goal(self.labels[index], None if self.targets is None else self.targets[index])

    def loss(self, logits: Tensor) -> Tensor:
        """What a gradient attack ascends, shape (n,): the label's cross-entropy, or minus the target's."""
        if self.targets is None:
            return F.cross_entropy(logits, self.labels, reduction="none")
        return -F.cross_entropy(logits, self.targets, reduction="none")

    def margin(self, logits: Tensor) -> Tensor:
        """How far past the decision boundary each sample is, shape (n,), in logits: above 0 means reached.

        >>> Goal(torch.tensor([0])).margin(torch.tensor([[1.0, 3.0, 2.0]]))
        tensor([2.])
        """
        wanted = self.labels if self.targets is None else self.targets
        own = logits.gather(1, wanted[:, None]).squeeze(1)
        others = logits.scatter(1, wanted[:, None], -torch.inf).amax(1)
        return others - own if self.targets is None else own - others
