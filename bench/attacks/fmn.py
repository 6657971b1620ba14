"""The fast minimum-norm attack."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.attacks.ascent import pace
from bench.attacks.counting import of_rows
from bench.attacks.draws import Draws
from bench.attacks.goal import Goal
from bench.attacks.gradients import input_gradient
from bench.attacks.l1_ball import project_l1
from bench.attacks.nearest import DUAL, cosine, direction, first_look, unit
from bench.attacks.threat import Threat, per_sample, sizes


def fmn(
    model: Callable[[Tensor], Tensor],
    x: Tensor,
    goal: Goal,
    *,
    threat: Threat,
    draws: Draws,  # noqa: ARG001
    steps: int = 1000,
    step_size: float = 3.0,
    radius_step: float = 0.05,
) -> Tensor:
    """Ascend the difference of logits in a ball whose radius follows the distance to the decision boundary.

    Before the first example the radius is where the linearised difference of logits changes its sign, and a little
    more: on a linear model the estimate is exact, and would lead onto the boundary but never past it. After that the
    radius shrinks below each example and grows after each failure. Step size and change of radius fall to a hundredth
    along a cosine. What `first_look` sees counts as well.

    The box needs two rules that the paper does not have. Entries that the gradient pushes against it are left out of
    the gradient, which otherwise spends its whole length on them and stands still. And the radius does not shrink
    before the first example: where perturbations are cut short, estimates may never reach the boundary.

    Args:
        model: Inputs to logits (n, classes).
        x: Clean inputs, shape (n, ...), inside the threat's box.
        goal: Labels, or targets to reach.
        threat: Norm and box; a sample with an example within a finite radius is done.
        draws: Not used; the attack is deterministic.
        steps: Gradient steps.
        step_size: First l2 length of a step under any norm, in widths of the box (1 where there is no box).
        radius_step: First share by which the radius changes a step.

    Returns:
        For each sample the nearest example seen, or the clean input where there was none; shape of `x`.

    Source: Pintor, Roli, Brendel, Biggio 2021, algorithm 1.

    >>> plane = lambda x: torch.stack([x @ torch.tensor([3.0, 4.0]), torch.ones(len(x))], 1)
    >>> threat, draws = Threat("l1", float("inf"), -9.0, 9.0), Draws(torch.tensor([0]))
    >>> fmn(plane, torch.tensor([[1.0, 0.5]]), Goal(torch.tensor([0])), threat=threat, draws=draws)
    tensor([[ 1.0000, -0.5000]])
    """
    best, width, every = first_look(model, x, goal, threat), unit(threat), pace(x.device)
    rows = best.searching(threat).nonzero().squeeze(1)
    if len(rows) == 0:
        return best.points
    part, aim, near = of_rows(model, rows), goal.rows(rows), best.rows(rows)
    origin = point = x[rows]
    radius, seen = x.new_zeros(len(rows)), x.new_full((len(rows),), torch.inf)
    for step in range(steps + 1):
        if step < steps:
            gradient, logits = input_gradient(part, point, aim.margin)
        else:
            with torch.no_grad():
                logits = part(point)
        margin, delta = aim.margin(logits), point - origin
        distance = sizes(delta, threat.norm)
        near.note(point, distance, margin > 0)
        if step == steps:
            break
        if step > 0 and step % every == 0:
            going = near.searching(threat).nonzero().squeeze(1)
            if len(going) < len(rows):
                best.put(rows, near)
                rows = rows[going]
                if len(rows) == 0:
                    return best.points
                part, aim, near = of_rows(model, rows), goal.rows(rows), best.rows(rows)
                origin, point, delta, distance, radius, seen, margin, gradient = (
                    each[going] for each in (origin, point, delta, distance, radius, seen, margin, gradient)
                )
        change = cosine(radius_step, radius_step / 100, step / steps)
        stuck = ((point <= threat.low) & (gradient < 0)) | ((point >= threat.high) & (gradient > 0))
        gradient = gradient.masked_fill(stuck, 0.0)
        seen = torch.where(margin > 0, torch.minimum(seen, distance), seen)
        edge = distance - margin / sizes(gradient, DUAL[threat.norm]).clamp_min(1e-30)
        wider = torch.where(seen < torch.inf, radius, torch.maximum(edge, radius)) * (1 + change)
        radius = torch.where(margin > 0, torch.minimum(radius * (1 - change), seen), wider)
        delta = delta + width * cosine(step_size, step_size / 100, step / steps) * direction(gradient)
        point = _into_ball(delta, origin, radius, threat)
    best.put(rows, near)
    return best.points


def _into_ball(delta: Tensor, origin: Tensor, radius: Tensor, threat: Threat) -> Tensor:
    """Points near `origin + delta`, shape (n, ...), in the box and in balls of the given radii, shape (n,)."""
    if threat.norm == "l1":
        delta = project_l1(delta, origin, radius, threat.low, threat.high)
    elif threat.norm == "linf":
        bound = per_sample(radius, delta)
        delta = torch.minimum(torch.maximum(delta, -bound), bound)
    else:
        delta = delta * per_sample((radius / sizes(delta, "l2").clamp_min(1e-30)).clamp_max(1.0), delta)
    return (origin + delta).clamp_(threat.low, threat.high)
