"""A model that keeps an account of what an attack asked it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from bench.attacks.budget import Budget, BudgetSpentError
from bench.attacks.counting import CountedModel
from bench.attacks.goal import Goal
from bench.attacks.threat import Threat, sizes
from bench.attacks.verify import TOLERANCE


def useless(gradient: Tensor) -> Tensor:
    """Whether a sample's gradient is zero in every entry, or not finite: (n, ...) to (n,).

    >>> useless(torch.tensor([[0.0, 0.0], [0.0, 1e-40]]))
    tensor([ True, False])
    """
    flat = gradient.flatten(1)
    return (flat == 0).all(1) | ~torch.isfinite(flat).all(1)


class Watch:
    """What an attack saw of each sample on its way; n samples.

    Attributes:
        passes: For each pass the samples it was for, their margins (above 0 the goal was reached), and whether the
            points lay inside the ball and the box, all of shape (m,).
        reached: Whether a point inside the ball and the box that the attack asked about reached the goal, shape (n,).
        gradients: Gradients each sample got, shape (n,).
        zeros: How many of them were zero in every entry, or not finite, shape (n,).
    """

    def __init__(self, count: int) -> None:
        self.passes: list[tuple[Tensor, Tensor, Tensor]] = []
        self.reached = torch.zeros(count, dtype=torch.bool)
        self.gradients = torch.zeros(count)
        self.zeros = torch.zeros(count)

    def history(self, sample: int) -> Tensor:
        """The margins of one sample in the order they were asked for, shape (passes,)."""
        return torch.cat([margins[rows == sample] for rows, margins, _ in self.passes])

    def began_inside(self, sample: int) -> bool:
        """Whether the first point an attack asked about lay inside the ball and the box."""
        return bool(torch.cat([inside[rows == sample] for rows, _, inside in self.passes])[0])

    def looked(self, rows: Tensor, margins: Tensor, inside: Tensor) -> None:
        """Note what the model said to points of some samples."""
        self.passes.append((rows, margins, inside))
        self.reached[rows[(margins > 0) & inside]] = True

    def take(self, other: Watch, start: int) -> None:
        """Add what was seen of some of the samples, of which the first is number `start`."""
        self.passes += [(rows + start, margins, inside) for rows, margins, inside in other.passes]
        part = slice(start, start + len(other.reached))
        self.reached[part] |= other.reached
        self.gradients[part] += other.gradients
        self.zeros[part] += other.zeros

    def turned(self, rows: Tensor, gradient: Tensor) -> None:
        """Note a gradient that some samples got."""
        self.gradients.index_add_(0, rows, torch.ones(len(rows)))
        self.zeros.index_add_(0, rows, useless(gradient).float().cpu())


class WatchedModel(CountedModel):
    """A counted model that tells a watch of every pass.

    Args:
        model: Inputs to logits.
        x: The clean batch, shape (n, ...).
        goal: What the attack wants.
        threat: Ball and box a point must lie in for its success to count.
        watch: Is told.
        budget: What a sample may cost: when all have spent it, a call ends the attack.
        **options: Those of `CountedModel`.
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        x: Tensor,
        goal: Goal,
        threat: Threat,
        watch: Watch,
        budget: Budget | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model, len(x), device=x.device, **options)
        self._x, self._goal, self._threat, self._watch = x, goal, threat, watch
        self._most = math.inf if budget is None or budget.forwards is None else budget.forwards

    def one_pass(self, x: Tensor, index: Tensor | None) -> Tensor:
        """One pass, counted and noted; passes that belong to no sample in particular are not noted."""
        if float(self.forwards.min()) >= self._most:
            raise BudgetSpentError
        logits = super().one_pass(x, index)
        rows = self._rows(len(x), index)
        if rows is not None:
            points, threat = x.detach(), self._threat
            flat = points.flatten(1)
            near = sizes(points - self._x[rows], threat.norm) <= threat.epsilon * (1 + TOLERANCE) + TOLERANCE
            inside = near & (flat >= threat.low).all(1) & (flat <= threat.high).all(1)
            margins = self._goal.rows(rows).margin(logits.detach())
            self._watch.looked(rows.cpu(), margins.float().cpu(), inside.cpu())
        return logits

    def passed_back(self, gradient: Tensor, index: Tensor | None) -> Tensor:
        """Count a backward pass and note its gradient."""
        rows = self._rows(len(gradient), index)
        if rows is not None:
            self._watch.turned(rows.cpu(), gradient.detach())
        return super().passed_back(gradient, index)

    def _rows(self, passed: int, index: Tensor | None) -> Tensor | None:
        """The samples that the rows of a pass belong to; None where nobody can tell."""
        if index is not None:
            return index
        return torch.arange(passed, device=self._x.device) if passed == self.count else None
