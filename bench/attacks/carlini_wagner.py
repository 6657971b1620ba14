"""Carlini and Wagner's l2 attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.attacks.ascent import pace
from bench.attacks.counting import of_rows
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.gradients import input_gradient
from bench.attacks.nearest import Nearest, draw_in, first_look, unit
from bench.attacks.threat import Threat, per_sample, sizes

_EDGE = 1 - 1e-4  # how far towards the ends of the tanh, where its inverse is infinite, variables begin


def carlini_wagner(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,  # noqa: ARG001
    searches: int = 9,
    steps: int = 1000,
    learning_rate: float = 0.01,
    weight: float = 1e-3,
    confidence: float = 0.0,
    abort_early: bool = True,
) -> Tensor:
    """Minimise the squared l2 distance plus a weighted margin, and search for the weight by bisection.

    The variable is the inverse of a tanh that maps onto the box, so that every step stays inside. Without a box (or
    with a side at infinity, or one wider than 1e5) it is the example itself, clipped to whatever box there is. Every
    search begins at the clean input. Distances are shares of the width of the box, so that images in [0, 255] fare
    like images in [0, 1]. What `first_look` sees counts as well, and at the end each example is drawn in (`draw_in`).

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels, or targets to reach.
        threat: Box, under ``l2``; a sample with an example within a finite radius is done.
        draws: Not used; the attack is deterministic.
        searches: Values of the weight a sample: ten times the last until one gives an example, then the middle
            between the largest that gave none and the smallest that gave one.
        steps: Steps of Adam a search at the most.
        learning_rate: Adam's, in the variable.
        weight: First weight of the margin.
        confidence: Margin in logits an example must have.
        abort_early: End a sample's search when a tenth of its steps has not lowered its objective by 0.01%.

    Returns:
        For each sample the nearest example seen, or the clean input where there was none; shape of `x`.

    Source: Carlini and Wagner 2017, sections V and VI.A; ending searches early is in their code.

    >>> plane = lambda x: torch.stack([x @ torch.tensor([3.0, 4.0]), torch.ones(len(x))], 1)
    >>> threat, draws = Threat("l2", float("inf"), -1.0, 1.0), Draws(torch.tensor([0]))
    >>> x, goal = torch.tensor([[0.5, 0.0]]), Goal(torch.tensor([0]))
    >>> found = carlini_wagner(plane, x, goal, threat=threat, draws=draws, steps=200)
    >>> bool(0.1 <= (found - x).norm() < 0.101)
    True
    """
    best = first_look(model, x, goal, threat, confidence)
    weights, below, above = x.new_full((len(x),), weight), x.new_zeros(len(x)), x.new_full((len(x),), torch.inf)
    for _ in range(searches):
        rows = best.searching(threat).nonzero().squeeze(1)
        if len(rows) == 0:
            break
        found = _search(
            model,
            goal,
            rows,
            x[rows],
            weights[rows],
            best,
            threat=threat,
            steps=steps,
            rate=learning_rate,
            confidence=confidence,
            abort_early=abort_early,
        )
        above[rows] = torch.where(found, weights[rows], above[rows])
        below[rows] = torch.where(found, below[rows], weights[rows])
        weights = torch.where(above < torch.inf, (below + above) / 2, 10 * weights)
    draw_in(model, x, goal, best, threat, confidence)
    return best.points


def _search(
    model: Callable[[Tensor], Tensor],
    goal: Goal,
    rows: Tensor,
    origin: Tensor,
    weight: Tensor,
    best: Nearest,
    *,
    threat: Threat,
    steps: int,
    rate: float,
    confidence: float,
    abort_early: bool,
) -> Tensor:
    """Descend under one weight a sample, from the clean inputs; the nearest examples seen are noted in `best`.

    Args:
        model: Inputs to logits of the whole batch.
        goal: What the whole batch wants.
        rows: Samples to move, shape (m,).
        origin: Their clean inputs, shape (m, ...).
        weight: Their weights of the margin, shape (m,).
        best: Nearest examples of the whole batch; updated.
        threat: Box and radius.
        steps: Steps of Adam at the most.
        rate: Adam's rate.
        confidence: Margin an example must have.
        abort_early: See `carlini_wagner`.

    Returns:
        Whether an example was seen, shape (m,).
    """
    found = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    index = torch.arange(len(rows), device=rows.device)
    part, aim, near = of_rows(model, rows), goal.rows(rows), best.rows(rows)
    adam = _Adam.at(_enter(origin, threat))
    point, slope = origin, _leave(adam.variable, threat)[1]
    least = before = torch.full_like(weight, torch.inf)
    width, every, tenth = unit(threat), pace(origin.device), -(-steps // 10)
    for step in range(steps + 1):
        if step < steps:
            gradient, logits = input_gradient(part, point, aim.margin)
        else:
            with torch.no_grad():
                logits = part(point)
        margin, delta = aim.margin(logits), point - origin
        distance = sizes(delta, "l2")
        near.note(point, distance, margin > confidence)
        found[index] |= margin > confidence
        if step == steps:
            break
        least = torch.minimum(least, (distance / width).square() + weight * (confidence - margin).relu())
        if step % every == 0 or step % tenth == 0:
            stay = near.searching(threat)
            if abort_early and step % tenth == 0:
                stay &= least < 0.9999 * before
                before = least
            going = stay.nonzero().squeeze(1)
            if len(going) < len(rows):
                best.put(rows, near)
                rows, adam = rows[going], adam.rows(going)
                if len(rows) == 0:
                    return found
                part, aim, near = of_rows(model, rows), goal.rows(rows), best.rows(rows)
                index, origin, weight, least, before, gradient, margin, delta = (
                    each[going] for each in (index, origin, weight, least, before, gradient, margin, delta)
                )
                slope = slope[going] if isinstance(slope, Tensor) else slope
        pull = per_sample(weight * (margin <= confidence), delta)
        adam.step((delta * (2 / width**2) - pull * gradient) * slope, rate, step + 1)
        point, slope = _leave(adam.variable, threat)
    best.put(rows, near)
    return found


@dataclass(frozen=True)
class _Adam:
    """Descent with moments of the gradient (Kingma and Ba 2015), on a variable that samples may leave."""

    variable: Tensor
    mean: Tensor
    square: Tensor

    @classmethod
    def at(cls, variable: Tensor) -> _Adam:
        """A start with no past."""
        return cls(variable, torch.zeros_like(variable), torch.zeros_like(variable))

    def rows(self, index: Tensor) -> _Adam:
        """The state of some samples."""
        return _Adam(self.variable[index], self.mean[index], self.square[index])

    def step(self, gradient: Tensor, rate: float, count: int) -> None:
        """Move the variable in place, for the `count`-th time."""
        self.mean.mul_(0.9).add_(gradient, alpha=0.1)
        self.square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        length = self.square.sqrt().div_((1 - 0.999**count) ** 0.5).add_(1e-8)
        self.variable.addcdiv_(self.mean, length, value=-rate / (1 - 0.9**count))


def _bounded(threat: Threat) -> bool:
    """Whether the box is finite and not so wide that a step of the tanh's variable jumps over all data."""
    return threat.high - threat.low <= unit(threat)


def _enter(x: Tensor, threat: Threat) -> Tensor:
    """The variable whose points are `x`, of its shape."""
    if not _bounded(threat):
        return x.clone()
    # in float64, because the last bit of a vectorised logarithm depends on the position of an entry in the batch
    inner = (x.double() - threat.low) * (2 / unit(threat)) - 1
    return inner.clamp(-_EDGE, _EDGE).atanh().to(x.dtype)


def _leave(variable: Tensor, threat: Threat) -> tuple[Tensor, Tensor | float]:
    """The points of a variable, of its shape, and their derivatives by it."""
    if not _bounded(threat):
        return variable.clamp_(threat.low, threat.high).clone(), 1.0
    half, inner = unit(threat) / 2, variable.tanh()
    return (threat.low + half * (1 + inner)).clamp_(threat.low, threat.high), half * (1 - inner.square())
