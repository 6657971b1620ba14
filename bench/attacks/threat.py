"""The threat model of an attack on one batch: which ball, which box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Norm = Literal["linf", "l2"]


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """Reshape one value a sample, shape (n,), so that it broadcasts over `like`, shape (n, ...)."""
    return values.reshape(-1, *([1] * (like.ndim - 1)))


def sizes(delta: Tensor, norm: Norm) -> Tensor:
    """The norm of each perturbation: (n, ...) in the data's units -> (n,).

    >>> sizes(torch.tensor([[3.0, -4.0]]), "l2"), sizes(torch.tensor([[3.0, -4.0]]), "linf")
    (tensor([5.]), tensor([4.]))
    """
    flat = delta.flatten(1)
    return flat.abs().amax(1) if norm == "linf" else flat.norm(dim=1)


@dataclass(frozen=True)
class Threat:
    """A ball of radius `epsilon` around the clean input, cut by the box of valid inputs.

    Attributes:
        norm: ``linf`` or ``l2``.
        epsilon: Radius in the data's units, at least 0.
        low: Smallest valid input value.
        high: Largest valid input value.
    """

    norm: Norm
    epsilon: float
    low: float = 0.0
    high: float = 1.0

    def project(self, candidates: Tensor, origin: Tensor) -> Tensor:
        """The nearest points that lie in the ball around `origin` and then in the box; shapes (n, ...).

        Clipping to the box never leaves the ball, because `origin` lies in the box.

        >>> Threat("linf", 0.1).project(torch.tensor([[0.5, 1.2]]), torch.tensor([[0.0, 1.0]]))
        tensor([[0.1000, 1.0000]])
        """
        if self.norm == "linf":
            inside = torch.minimum(torch.maximum(candidates, origin - self.epsilon), origin + self.epsilon)
        else:
            delta = candidates - origin
            factor = (self.epsilon / sizes(delta, "l2").clamp_min(1e-12)).clamp_max(1.0)
            inside = origin + delta * per_sample(factor, delta)
        return inside.clamp(self.low, self.high)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The unit-norm direction that raises a linear function most: (n, ...) -> (n, ...).

        The sign under ``linf`` (0 where the gradient is 0), the gradient over its length under ``l2``.
        """
        if self.norm == "linf":
            return gradient.sign()
        return gradient / per_sample(sizes(gradient, "l2").clamp_min(1e-30), gradient)
