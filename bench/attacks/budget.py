"""A model that stops answering when a sample's budget is spent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bench.attacks.counting import CountedModel
from bench.attacks.goal import Goal
from bench.attacks.threat import Threat, per_sample, sizes
from bench.attacks.verify import TOLERANCE


@dataclass(frozen=True)
class Budget:
    """What one attack may cost for one sample.

    Attributes:
        forwards: Forward passes at the most; None for any number.
        backwards: Backward passes at the most; None for any number.
    """

    forwards: int | None = None
    backwards: int | None = None


class BudgetSpentError(Exception):
    """No sample of a call has any budget left; the attack is over."""


class BudgetedModel(CountedModel):
    """A counted model that answers no more for samples whose budget is spent, and keeps the best points it saw.

    An attack that goes on gets equal logits and no gradient for such samples; when every sample of a call is spent, the
    call raises `BudgetSpentError`, which ends the attack. What counts as its result is then `best`, so nothing an
    attack found is lost, whatever the attack does.

    Args:
        model: Inputs to logits.
        x: The clean batch, shape (n, ...).
        goal: What the attack wants.
        threat: Ball and box the best point has to lie in.
        budget: What each sample may cost.
        **options: Those of `CountedModel`.

    Attributes:
        best: For each sample the point of largest margin inside the ball that passed through, shape of `x`; under an
            infinite radius the nearest that reached the goal.
        score: What `best` was best by, shape (n,).
    """

    def __init__(
        self,
        model: Callable[[Tensor], Tensor],
        x: Tensor,
        goal: Goal,
        threat: Threat,
        budget: Budget,
        **options: Any,
    ) -> None:
        super().__init__(model, len(x), device=x.device, **options)
        self._x, self._goal, self._threat, self._budget = x, goal, threat, budget
        self.best = x.clone()
        self.score = x.new_full((len(x),), -torch.inf)

    def one_pass(self, x: Tensor, index: Tensor | None) -> Tensor:
        """One counted pass of the rows whose samples have budget left."""
        if index is None and len(x) == self.count:
            index = torch.arange(self.count, device=x.device)
        if index is None:
            if float(self._left(x).min()) < len(x) / self.count:
                raise BudgetSpentError
            return super().one_pass(x, None)
        spent = self._left(x)[index] <= _earlier(index)
        if bool(spent.all()):
            raise BudgetSpentError
        going = (~spent).nonzero().squeeze(1)
        answer = super().one_pass(x[going], index[going])
        self._keep(x[going].detach(), answer.detach(), index[going])
        if len(going) == len(x):
            return answer
        return answer.new_zeros(len(x), answer.shape[1]).index_put((going,), answer)

    def passed_back(self, gradient: Tensor, index: Tensor | None) -> Tensor:
        """Count a backward pass; one forward pass may have several, so that the budget can end between them."""
        if self._budget.backwards is None:
            return super().passed_back(gradient, index)
        left = self._budget.backwards - self.backwards
        if index is None:
            if float(left.min()) < len(gradient) / self.count:
                raise BudgetSpentError
            return super().passed_back(gradient, None)
        spent = left[index] <= _earlier(index)
        if bool(spent.all()):
            raise BudgetSpentError
        going = (~spent).nonzero().squeeze(1)
        self.add(self.backwards, len(going), index[going])
        return gradient if len(going) == len(gradient) else gradient * per_sample(~spent, gradient)

    def _left(self, x: Tensor) -> Tensor:
        """Passes each sample has left, of the kind a pass of `x` is."""
        left = torch.full_like(self.forwards, torch.inf)
        if self._budget.forwards is not None:
            left = self._budget.forwards - self.forwards
        if self._budget.backwards is not None and torch.is_grad_enabled() and x.requires_grad:
            left = torch.minimum(left, self._budget.backwards - self.backwards)
        return left

    def _keep(self, x: Tensor, logits: Tensor, index: Tensor) -> None:
        """Note points that are better than the best so far."""
        origin, threat = self._x[index], self._threat
        distance, margin = sizes(x - origin, threat.norm), self._goal.rows(index).margin(logits)
        flat = x.flatten(1)
        near = distance <= threat.epsilon * (1 + TOLERANCE)
        inside = near & (flat >= threat.low).all(1) & (flat <= threat.high).all(1)
        value = margin if threat.epsilon < torch.inf else torch.where(margin > 0, -distance, -torch.inf)
        value = torch.where(inside, value, -torch.inf)
        score = self.score.scatter_reduce(0, index, value, "amax")
        winners = ((value == score[index]) & (value > self.score[index])).nonzero().squeeze(1)
        self.best[index[winners]], self.score = x[winners], score


def _earlier(index: Tensor) -> Tensor:
    """For each row how many rows before it belong to the same sample, shape of `index`."""
    order = index.argsort(stable=True)
    ordered = index[order]
    place = torch.arange(len(index), device=index.device) - torch.searchsorted(ordered, ordered)
    return torch.empty_like(place).scatter(0, order, place)
