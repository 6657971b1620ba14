"""DeepFool."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from bench.attacks.counting import of_rows
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.gradients import class_gradients
from bench.attacks.threat import Threat, per_sample, sizes

_HALVINGS = 10
_TIGHT = 0.25
_PAST = 1e-3


def deepfool(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,  # noqa: ARG001
    steps: int = 50,
    overshoot: float = 0.02,
    candidates: int = 10,
) -> Tensor:
    """Step to the nearest of the linearised decision boundaries until the answer changes, then search the way back.

    The steps, each cut to the box, add up to one perturbation, which is tried a little lengthened because it leads to
    the boundary and no further. Three things are not in the paper, which knows no box:

    - From the second on, steps aim a thousandth of the clean logits' range past the boundary: those that the box
      shortens come nearer and nearer to it without crossing. On MNIST this saves more than half of the steps.
    - Where the box leaves less than a quarter of what a step was to gain, the sample's later steps leave out the
      entries that have no room. Otherwise all steps can come to nothing.
    - The first point across is pulled back along the straight line to the clean input, by ten halvings that cost a
      forward pass each. A sample within epsilon is spared them, unless epsilon is infinite.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels; or targets, of which only the boundary towards all other classes is looked at.
        threat: Norm (``linf`` or ``l2``), box, and the radius within which an example is near enough.
        draws: Not used; nothing here is random.
        steps: Linearisations at the most; each costs two forward passes, and one backward pass a boundary.
        overshoot: Share by which the perturbation is lengthened.
        candidates: Likeliest classes, the label among them, whose boundaries are looked at; all where there are fewer.

    Returns:
        For each sample a point that reached the goal, or the clean input where none was found, shape of `x`.

    Source: Moosavi-Dezfooli, Fawzi, Frossard 2016, algorithm 2 and section 3.3.

    >>> from bench.attacks.attack import create
    >>> model = lambda x: torch.stack([x[:, 0] + x[:, 1], 1.5 - x[:, 0] - x[:, 1]], 1)
    >>> attack = create("deepfool", norm="l2", epsilon=math.inf)
    >>> attack(model, torch.tensor([[0.5, 0.75]]), torch.tensor([0])).distance  # the boundary is sqrt(0.125) away
    tensor([0.3536])
    """
    with torch.no_grad():
        logits = model(x)
    order = logits.scatter(1, goal.labels[:, None], -torch.inf).argsort(dim=1, descending=True, stable=True)
    others = order[:, : min(candidates, logits.shape[1]) - 1]
    past = _PAST * (logits.amax(1, keepdim=True) - logits.amin(1, keepdim=True))
    found, rows = x.clone(), (goal.margin(logits) <= 0).nonzero().squeeze(1)
    crossed = [rows[:0]]
    point = origin = x[rows]
    total, tight = torch.zeros_like(origin), torch.zeros_like(rows, dtype=torch.bool)
    for step in range(steps):
        if len(rows) == 0:
            break
        part, aim = of_rows(model, rows), goal.rows(rows)
        heights = partial(_heights, goal=aim, classes=others[rows])
        gradients, logits = class_gradients(part, point, heights)
        depths = (past[rows] if step > 0 else 0.0) - heights(logits)
        gradient, length = _nearest(_with_room(gradients, point, tight, threat), depths, threat)
        movable = length < torch.inf
        way = threat.steepest(gradient) * per_sample(torch.where(movable, length, 0.0), gradient)
        cut = (origin + total + way).clamp_(threat.low, threat.high).sub_(origin).sub_(total)
        tight |= (gradient * cut).flatten(1).sum(1) < _TIGHT * (gradient * way).flatten(1).sum(1)
        total += cut
        point = (origin + (1 + overshoot) * total).clamp_(threat.low, threat.high)
        with torch.no_grad():
            across = aim.margin(part(point)) > 0
        found[rows[across]] = point[across]
        crossed.append(rows[across])
        # this waits for the device; a sample that stayed too long would cost a backward pass a boundary
        going = (~across & movable).nonzero().squeeze(1)
        rows, origin, total, point, tight = (each[going] for each in (rows, origin, total, point, tight))
    return _back(model, x, goal, found, torch.cat(crossed), threat)


def _heights(logits: Tensor, goal: Goal, classes: Tensor) -> Tensor:
    """What is below 0 on this side of each boundary, shape (n, k)."""
    if goal.targets is not None:
        return goal.margin(logits)[:, None]
    return logits.gather(1, classes) - logits.gather(1, goal.labels[:, None])


def _with_room(gradients: Tensor, point: Tensor, tight: Tensor, threat: Threat) -> Tensor:
    """The gradients (k, n, ...), of tight samples without the entries that lead out of the box."""
    loose = per_sample(~tight, point)
    up, down = loose | (point < threat.high), loose | (point > threat.low)
    return gradients.clamp_min(0) * up + gradients.clamp_max(0) * down


def _nearest(gradients: Tensor, depths: Tensor, threat: Threat) -> tuple[Tensor, Tensor]:
    """The boundary to which the way is shortest.

    Args:
        gradients: Those of k linear functions, shape (k, n, ...).
        depths: How much each has to rise, shape (n, k).
        threat: The norm.

    Returns:
        Its gradient, shape (n, ...), and the length of the way, shape (n,); infinite where all gradients are zero.
    """
    slopes = sizes(gradients.flatten(0, 1), "l1" if threat.norm == "linf" else "l2").reshape(gradients.shape[:2])
    length, nearest = torch.where(slopes > 0, depths.T / slopes, torch.inf).min(0)
    return gradients[nearest, torch.arange(len(nearest), device=nearest.device)], length


def _back(
    model: Callable[[Tensor], Tensor], x: Tensor, goal: Goal, found: Tensor, rows: Tensor, threat: Threat
) -> Tensor:
    """The examples, those of some samples taken back towards the clean input for as long as they remain examples."""
    if threat.epsilon < math.inf:
        rows = rows[sizes(found[rows] - x[rows], threat.norm) > threat.epsilon]
    if len(rows) == 0:
        return found
    part, aim, origin, example = of_rows(model, rows), goal.rows(rows), x[rows], found[rows]
    way, inside = example - origin, torch.zeros_like(rows, dtype=x.dtype)
    across = torch.ones_like(inside)
    for _ in range(_HALVINGS):
        middle = (inside + across) / 2
        point = origin + per_sample(middle, way) * way
        with torch.no_grad():
            reached = aim.margin(part(point)) > 0
        example = torch.where(per_sample(reached, point), point, example)
        inside, across = torch.where(reached, inside, middle), torch.where(reached, middle, across)
    return found.index_copy(0, rows, example)
