"""The threat model of an attack on one batch: which ball, which box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from bench.attacks.l1_ball import project_l1

Norm = Literal["linf", "l2", "l1"]


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """Reshape one value a sample, shape (n,), so that it broadcasts over `like`, shape (n, ...)."""
    return values.reshape(-1, *([1] * (like.ndim - 1)))


def sizes(delta: Tensor, norm: Norm) -> Tensor:
    """The norm of each perturbation: (n, ...) in the data's units -> (n,).

    >>> sizes(torch.tensor([[3.0, -4.0]]), "l2"), sizes(torch.tensor([[3.0, -4.0]]), "linf")
    (tensor([5.]), tensor([4.]))
    """
    flat = delta.flatten(1)
    if norm == "linf":
        return flat.abs().amax(1)
    return flat.norm(dim=1) if norm == "l2" else flat.abs().sum(1)


@dataclass(frozen=True)
class Threat:
    """A ball of radius `epsilon` around the clean input, cut by the box of valid inputs.

    Attributes:
        norm: ``linf``, ``l2`` or ``l1``.
        epsilon: Radius in the data's units, at least 0; infinite for attacks that look for the nearest example.
        low: Smallest valid input value.
        high: Largest valid input value.
    """

    norm: Norm
    epsilon: float
    low: float = 0.0
    high: float = 1.0

    def project(self, candidates: Tensor, origin: Tensor) -> Tensor:
        """Points that lie in the ball around `origin` and in the box; shapes (n, ...).

        The nearest ones under ``linf`` and ``l1``. Under ``l2`` the nearest of the ball, clipped to the box, which
        never leaves the ball because `origin` lies in the box.

        >>> Threat("linf", 0.1).project(torch.tensor([[0.5, 1.2]]), torch.tensor([[0.0, 1.0]]))
        tensor([[0.1000, 1.0000]])
        """
        if self.norm == "l1":
            return (origin + project_l1(candidates - origin, origin, self.epsilon, self.low, self.high)).clamp(
                self.low, self.high
            )
        if self.norm == "linf":
            inside = torch.minimum(torch.maximum(candidates, origin - self.epsilon), origin + self.epsilon)
        else:
            delta = candidates - origin
            factor = (self.epsilon / sizes(delta, "l2").clamp_min(1e-12)).clamp_max(1.0)
            inside = origin + delta * per_sample(factor, delta)
        return inside.clamp_(self.low, self.high)

    def around(self, origin: Tensor) -> Ball:
        """The ball around clean inputs, shape (n, ...), for attacks that project onto it many times."""
        if self.norm != "linf":
            return Ball(self, origin)
        lower, upper = (origin - self.epsilon).clamp_(self.low, self.high), origin + self.epsilon
        return Ball(self, lower, upper.clamp_(self.low, self.high))

    def steepest(self, gradient: Tensor) -> Tensor:
        """The unit-norm direction that raises a linear function most: (n, ...) -> (n, ...).

        The sign under ``linf`` (0 where the gradient is 0), the gradient over its length under ``l2``, the largest
        entry alone under ``l1``.
        """
        if self.norm == "linf":
            return gradient.sign()
        if self.norm == "l2":
            return gradient / per_sample(sizes(gradient, "l2").clamp_min(1e-30), gradient)
        flat = gradient.flatten(1)
        largest = flat.abs().argmax(1, keepdim=True)
        return torch.zeros_like(flat).scatter(1, largest, flat.gather(1, largest).sign()).reshape(gradient.shape)


@dataclass(frozen=True)
class Ball:
    """A threat around the clean inputs of one batch; made by `Threat.around`.

    Attributes:
        threat: Norm, radius and box.
        first: The clean inputs; under ``linf`` the smallest values inside ball and box; shape (n, ...).
        upper: Under ``linf`` the largest values inside ball and box.
    """

    threat: Threat
    first: Tensor
    upper: Tensor | None = None

    def project_(self, points: Tensor) -> Tensor:
        """What `Threat.project` gives; under ``linf`` in place, in one pass."""
        if self.upper is not None:
            return points.clamp_(self.first, self.upper)
        return self.threat.project(points, self.first)

    def rows(self, index: Tensor) -> Ball:
        """The ball around some of the inputs."""
        return Ball(self.threat, self.first[index], None if self.upper is None else self.upper[index])
