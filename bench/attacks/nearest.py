"""What searches for the nearest example share: the nearest so far, a first look, and schedules."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from bench.attacks.ascent import replace_rows
from bench.attacks.counting import of_rows
from bench.attacks.goal import Goal
from bench.attacks.gradients import class_gradients, input_gradient
from bench.attacks.threat import Norm, Threat, per_sample, sizes

DUAL: dict[Norm, Norm] = {"linf": "l1", "l2": "l2", "l1": "linf"}


HALVINGS = 10
"""How often the line between an example and its clean input is halved."""


class Nearest:
    """For each sample of a batch the nearest example so far.

    Attributes:
        points: Shape of the batch; the clean inputs where no example was found.
        distance: How far they are, shape (n,), in the threat's norm; infinite where no example was found.
    """

    def __init__(self, x: Tensor) -> None:
        self.points = x.clone()
        self.distance = x.new_full((x.shape[0],), torch.inf)

    def note(self, points: Tensor, distance: Tensor, reached: Tensor | None = None, rows: Tensor | None = None) -> None:
        """Take over points where they reach the goal and are nearer.

        Args:
            points: Points of `rows`, shape (m, ...).
            distance: How far they are, shape (m,).
            reached: Which of them reach the goal, shape (m,), bool; None when all do.
            rows: Samples they belong to, shape (m,); None when they are all, in their order.
        """
        known = self.distance if rows is None else self.distance[rows]
        nearer = distance < known
        if reached is not None:
            nearer &= reached
        replace_rows(self.points, points, nearer, rows)
        distance = torch.where(nearer, distance, known)
        self.distance = distance if rows is None else self.distance.index_copy(0, rows, distance)

    def rows(self, index: Tensor) -> Nearest:
        """The nearest examples of some samples, on their own from here on."""
        part = Nearest(self.points[index])
        part.distance = self.distance[index]
        return part

    def put(self, index: Tensor, part: Nearest) -> None:
        """Take back what `rows` gave away."""
        self.points[index], self.distance[index] = part.points, part.distance

    def searching(self, threat: Threat) -> Tensor:
        """Whether a nearer example is of use, shape (n,): none is known within the radius.

        Under an infinite radius a nearer one always is, unless the clean input is an example itself.
        """
        return self.distance > (threat.epsilon if math.isfinite(threat.epsilon) else 0.0)


def first_look(
    model: Callable[[Tensor], Tensor], x: Tensor, goal: Goal, threat: Threat, confidence: float = 0.0
) -> Nearest:
    """What reaches the goal of the clean inputs and of the points just beyond their nearest linearised boundaries.

    Attacks that follow the gradient towards the likeliest other class may never see a boundary that is nearer, and long
    steps jump over one that is very near. Of an untargeted goal, the nine likeliest other classes are looked at.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...).
        goal: Labels, or targets.
        threat: Norm and box.
        confidence: Margin in logits an example must have more than.

    Source: Moosavi-Dezfooli, Fawzi, Frossard 2016, one step of algorithm 2.

    >>> plane = lambda x: torch.stack([x @ torch.tensor([3.0, 4.0]), torch.ones(len(x))], 1)
    >>> first_look(plane, torch.tensor([[1.0, 0.75]]), Goal(torch.tensor([0])), Threat("l2", math.inf, -9.0)).distance
    tensor([1.0200])
    """
    if goal.targets is not None:
        gradient, logits = input_gradient(model, x, goal.margin)
        value = goal.margin(logits)
    else:
        gradients, logits = class_gradients(model, x, lambda logits: _gaps(logits, goal.labels))
        values = _gaps(logits, goal.labels)
        slopes = torch.stack([sizes(each, DUAL[threat.norm]) for each in gradients], 1)
        nearest = (values.abs() / slopes).nan_to_num(torch.inf).argmin(1)
        gradient = gradients[nearest, torch.arange(len(x), device=x.device)]
        value = values.gather(1, nearest[:, None]).squeeze(1)
    seen = Nearest(x)
    seen.note(x, torch.zeros_like(value), goal.margin(logits) > confidence)
    # just beyond the boundary, because on it the answer is a matter of rounding
    length = 1.02 * value.abs() / sizes(gradient, DUAL[threat.norm])
    step = per_sample(length.nan_to_num(0.0, 0.0), x) * threat.steepest(gradient)
    point = (x + step).clamp_(threat.low, threat.high)
    with torch.no_grad():
        logits = model(point)
    seen.note(point, sizes(point - x, threat.norm), goal.margin(logits) > confidence)
    return seen


def draw_in(
    model: Callable[[Tensor], Tensor], x: Tensor, goal: Goal, best: Nearest, threat: Threat, confidence: float = 0.0
) -> None:
    """Bring each example nearer to its clean input, along the line between them, by `HALVINGS` forward passes.

    Args:
        model: Inputs to logits of the whole batch.
        x: Clean inputs, shape (n, ...).
        goal: Labels, or targets.
        best: The nearest examples; updated.
        threat: The norm.
        confidence: Margin in logits an example must have more than.

    >>> plane = lambda x: torch.stack([x[:, 0], torch.full((len(x),), 0.5)], 1)
    >>> clean, best = torch.tensor([[1.0]]), Nearest(torch.tensor([[1.0]]))
    >>> best.note(torch.tensor([[0.0]]), torch.tensor([1.0]))
    >>> draw_in(plane, clean, Goal(torch.tensor([0])), best, Threat("l2", math.inf))
    >>> best.distance
    tensor([0.5010])
    """
    rows = ((best.distance > 0) & (best.distance < torch.inf)).nonzero().squeeze(1)
    if len(rows) == 0:
        return
    part, aim, origin = of_rows(model, rows), goal.rows(rows), x[rows]
    way = best.points[rows] - origin
    inside, outside = x.new_zeros(len(rows)), x.new_ones(len(rows))
    for _ in range(HALVINGS):
        share = (inside + outside) / 2
        point = torch.addcmul(origin, way, per_sample(share, way))
        with torch.no_grad():
            reached = aim.margin(part(point)) > confidence
        best.note(point, sizes(point - origin, threat.norm), reached, rows)
        inside, outside = torch.where(reached, inside, share), torch.where(reached, share, outside)


def _gaps(logits: Tensor, labels: Tensor) -> Tensor:
    """Differences of logits to the likeliest other classes, likeliest first, shape (n, up to 9)."""
    own = logits.gather(1, labels[:, None])
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return others.topk(min(9, logits.shape[1] - 1), 1).values - own


def unit(threat: Threat) -> float:
    """The length that published step sizes for images in [0, 1] are shares of: the width of the box.

    An infinite box, and one wider than the values of any data (1e5), say nothing about the data's scale: there it is 1.
    """
    width = threat.high - threat.low
    return width if width <= 1e5 else 1.0


def cosine(first: float, last: float, share: float) -> float:
    """A schedule that falls from `first` to `last` along half a period of a cosine, at `share` (0 to 1) of its way."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def direction(gradient: Tensor, stray: Tensor | None = None) -> Tensor:
    """The gradient over its l2 length, or `stray` over its own where the gradient is exactly 0; shape of both.

    Lengths are taken after division by the largest entry, because squares of the small gradients of a confident
    model underflow to 0. Without `stray`, a gradient of 0 stays 0.

    >>> direction(torch.tensor([[3e-30, 4e-30], [0.0, 0.0]]), torch.tensor([[0.0, 2.0], [0.0, 2.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 1.0000]])
    """
    largest = per_sample(sizes(gradient, "linf"), gradient)
    if stray is not None:
        gradient = torch.where(largest > 0, gradient, stray)
        largest = per_sample(sizes(gradient, "linf"), gradient)
    scaled = gradient / largest.clamp_min(torch.finfo(gradient.dtype).tiny)
    return scaled / per_sample(sizes(scaled, "l2").clamp_min(1e-30), scaled)
