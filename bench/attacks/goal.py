"""What an attack wants: away from the label, or to a target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from bench.attacks import losses

Objective = Literal["cross-entropy", "margin", "dlr"]


@dataclass(frozen=True)
class Goal:
    """The aim for each sample of a batch.

    Attributes:
        labels: True classes, shape (n,), int64.
        targets: Classes to reach, shape (n,), int64; None for an untargeted attack.
        objective: What gradient attacks ascend: ``cross-entropy``, ``margin`` (difference of logits) or ``dlr``
            (that difference over the spread of the logits).
    """

    labels: Tensor
    targets: Tensor | None = None
    objective: Objective = "cross-entropy"

    def rows(self, index: Tensor) -> Goal:
        """The goal of some of the samples."""
        return Goal(self.labels[index], None if self.targets is None else self.targets[index], self.objective)

    def by(self, objective: Objective) -> Goal:
        """The same goal, pursued by ascending another function of the logits."""
        return replace(self, objective=objective)

    def towards(self, targets: Tensor) -> Goal:
        """The same goal, pursued by moving towards these classes, shape (n,)."""
        return replace(self, targets=targets)

    def loss(self, logits: Tensor) -> Tensor:
        """What a gradient attack ascends, shape (n,)."""
        if self.objective == "margin":
            return self.margin(logits)
        if self.objective == "dlr":
            if self.targets is None:
                return losses.dlr(logits, self.labels)
            return losses.dlr_targeted(logits, self.labels, self.targets)
        if self.targets is None:
            return losses.cross_entropy(logits, self.labels)
        return -losses.cross_entropy(logits, self.targets)

    def margin(self, logits: Tensor) -> Tensor:
        """How far past the decision boundary each sample is, shape (n,), in logits: above 0 means reached.

        >>> Goal(torch.tensor([0])).margin(torch.tensor([[1.0, 3.0, 2.0]]))
        tensor([2.])
        """
        wanted = self.labels if self.targets is None else self.targets
        own = logits.gather(1, wanted[:, None]).squeeze(1)
        others = logits.scatter(1, wanted[:, None], -torch.inf).amax(1)
        return others - own if self.targets is None else own - others
